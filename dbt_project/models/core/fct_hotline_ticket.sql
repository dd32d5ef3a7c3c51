with reports as (
    select
        *,
        row_number() over (
            partition by ticket_no
            order by _partition desc nulls last, _row_id desc nulls last
        ) as newest
    from {{ ref('stg_hotline__tickets') }}
),

surveys as (
    select
        *,
        row_number() over (
            partition by ticket_no
            order by surveyed_at desc nulls last, _partition desc nulls last, _row_id desc nulls last
        ) as newest
    from {{ ref('stg_hotline__satisfaction') }}
    where reached
),

fct_hotline_ticket as (
    select
        reports.ticket_no,
        reports.category,
        reports.district as area_code,
        reports.responsible_department,
        reports.urgency,
        reports.created_at,
        reports.reply_deadline,
        reports.replied_at,
        -- Judged as of the end of the reported day: NULL while the deadline lies ahead.
        case
            when reports.replied_at is not null then reports.replied_at <= reports.reply_deadline
            when
                reports.reply_deadline < cast(reports._partition as timestamp) + interval '1' day
                then false
        end as is_replied_in_time,
        reports.transfers,
        surveys.score as satisfaction_score,
        surveys.satisfied as is_satisfied,
        surveys.resolved as is_resolved,
        reports._partition as reported_in,
        reports._row_id
    from reports
    left join surveys
        on reports.ticket_no = surveys.ticket_no and surveys.newest = 1
    where reports.newest = 1
)

select * from fct_hotline_ticket
