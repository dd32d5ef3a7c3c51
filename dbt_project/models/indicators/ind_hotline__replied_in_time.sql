with due as (
    select
        area_code,
        cast(reported_in as date) as day,
        is_replied_in_time
    from {{ ref('fct_hotline_ticket') }}
    where is_replied_in_time is not null
),

ind_hotline__replied_in_time as (
    {{ indicator_rows(
        'due', 'month', 'sum(case when is_replied_in_time then 1 else 0 end)', 'count(*)', factor=100,
    ) }}
)

select * from ind_hotline__replied_in_time
