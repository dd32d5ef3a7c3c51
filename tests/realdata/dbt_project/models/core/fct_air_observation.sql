-- The files give the hour in four columns and CO in µg/m³, where the regulation wants mg/m³.
with hourly as (
    select
        station,
        cast(concat(
            year, '-', lpad(cast(month as varchar), 2, '0'), '-', lpad(cast(day as varchar), 2, '0'),
            ' ', lpad(cast(hour as varchar), 2, '0'), ':00:00'
        ) as timestamp) as observed_at,
        so2,
        no2,
        pm10,
        pm25,
        co / 1000 as co,
        o3
    from {{ ref('stg_beijing__air_quality_hourly') }}
),

fct_air_observation as (
    {{ air_observations('hourly', station='station') }}
)

select * from fct_air_observation
