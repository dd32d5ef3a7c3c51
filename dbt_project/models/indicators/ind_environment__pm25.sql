with valid_days as (
    select
        place_code as area_code,
        day,
        pm25
    from {{ ref('fct_air_quality_day') }}
    where place_type = 'area' and pm25 is not null
),

ind_environment__pm25 as (
    {{ area_indicator_rows('valid_days', 'month', 'sum(pm25)', 'count(*)') }}
)

select * from ind_environment__pm25
