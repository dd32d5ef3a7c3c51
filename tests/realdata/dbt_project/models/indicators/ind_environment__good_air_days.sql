with valid_days as (
    select
        place_code as area_code,
        day,
        aqi
    from {{ ref('fct_air_quality_day') }}
    where place_type = 'city' and aqi is not null
),

ind_environment__good_air_days as (
    {{ area_indicator_rows(
        'valid_days', 'year', 'sum(case when aqi <= 100 then 1 else 0 end)', 'count(*)', factor=100,
    ) }}
)

select * from ind_environment__good_air_days
