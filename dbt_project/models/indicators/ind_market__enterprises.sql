with registers as (
    select
        area_code,
        month_start as day,
        uscc
    from {{ ref('fct_enterprise_month') }}
    where is_in_business
),

ind_market__enterprises as (
    {{ indicator_rows('registers', 'month', 'count(*)', '1', factor=10000, per_resident=true) }}
)

select * from ind_market__enterprises
