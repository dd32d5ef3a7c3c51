-- A case is reported again whenever its state changes: its newest report counts.
with reports as (
    select
        *,
        row_number() over (
            partition by case_no
            order by _partition desc nulls last, _row_id desc nulls last
        ) as newest
    from {{ ref('stg_gov_services__service_cases') }}
),

cases as (
    select
        reports.*,
        accepted.workday_number as accepted_number,
        finished.workday_number as finished_number
    from reports
    left join {{ ref('dim_date') }} as accepted
        on cast(reports.accepted_at as date) = accepted.day
    left join {{ ref('dim_date') }} as finished
        on cast(reports.finished_at as date) = finished.day
    where reports.newest = 1
),

fct_service_case as (
    select
        case_no,
        item_code,
        item_name,
        applicant_type,
        department,
        district as area_code,
        channel,
        channel in ('网上', '掌上') as is_online,
        accepted_at,
        finished_at,
        status,
        status = '已办结' as is_finished,
        statutory_limit_days,
        promised_limit_days,
        -- the day of acceptance does not count, so a case finished on it took 0 working days
        case when status = '已办结' then finished_number - accepted_number end as working_days,
        case
            when status = '已办结' then finished_number - accepted_number <= statutory_limit_days
        end as is_within_statutory_limit,
        satisfaction,
        _partition as reported_in,
        _row_id
    from cases
)

select * from fct_service_case
