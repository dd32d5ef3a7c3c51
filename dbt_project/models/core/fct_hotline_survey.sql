-- Follow-up calls that reached somebody, whether or not the ticket lies in a delivered partition.
with versions as (
    select
        *,
        row_number() over (
            partition by survey_no
            order by _partition desc nulls last, _row_id desc nulls last
        ) as newest
    from {{ ref('stg_hotline__satisfaction') }}
),

fct_hotline_survey as (
    select
        survey_no,
        ticket_no,
        district as area_code,
        surveyed_at,
        method,
        reached as is_reached,
        score,
        satisfied as is_satisfied,
        resolved as is_resolved,
        _partition as reported_in,
        _row_id
    from versions
    where newest = 1
)

select * from fct_hotline_survey
