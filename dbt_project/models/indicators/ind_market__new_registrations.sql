with registers as (
    select
        area_code,
        month_start as day,
        is_new
    from {{ ref('fct_enterprise_month') }}
),

ind_market__new_registrations as (
    {{ indicator_rows('registers', 'month', 'sum(case when is_new then 1 else 0 end)', '1') }}
)

select * from ind_market__new_registrations
