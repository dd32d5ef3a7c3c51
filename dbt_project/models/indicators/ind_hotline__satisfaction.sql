with answered as (
    select
        area_code,
        cast(surveyed_at as date) as day,
        is_satisfied
    from {{ ref('fct_hotline_survey') }}
    where is_reached and is_satisfied is not null
),

ind_hotline__satisfaction as (
    {{ indicator_rows(
        'answered', 'month', 'sum(case when is_satisfied then 1 else 0 end)', 'count(*)', factor=100,
    ) }}
)

select * from ind_hotline__satisfaction
