-- A case is reported again whenever its state changes: its newest report counts.
with reports as (
    select
        *,
        row_number() over (partition by case_no order by _partition desc, _row_id desc) as newest
    from {{ ref('stg_gov__cases') }}
),

fct_case as (
    select
        case_no,
        item_code,
        area_code,
        channel,
        channel in ('网上', '移动端') as is_online,
        accepted_at,
        finished_at,
        state,
        {{ seconds_between('accepted_at', 'finished_at') }} <= limit_days * 86400 as is_in_time,
        fee,
        score,
        _partition as reported_in,
        _row_id
    from reports
    where newest = 1
)

select * from fct_case
