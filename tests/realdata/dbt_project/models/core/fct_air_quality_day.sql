-- One row for each station and day that was delivered, also where nothing was measured.
with indices as (
    {{ air_indices(
        ref('fct_air_concentration_day'), ref('aqi_breakpoints'), ['place_type', 'place_code'],
    ) }}
),

delivered as (
    select distinct
        'station' as place_type,
        station as place_code,
        cast(concat(
            year, '-', lpad(cast(month as varchar), 2, '0'), '-', lpad(cast(day as varchar), 2, '0')
        ) as date) as day
    from {{ ref('stg_beijing__air_quality_hourly') }}
),

fct_air_quality_day as (
    select
        coalesce(delivered.place_type, indices.place_type) as place_type,
        coalesce(delivered.place_code, indices.place_code) as place_code,
        coalesce(delivered.day, indices.day) as day,
        indices.regulation,
        indices.so2,
        indices.no2,
        indices.pm10,
        indices.pm25,
        indices.co,
        indices.o3,
        indices.aqi,
        indices.level,
        indices.primary_pollutants,
        coalesce(indices.valid_pollutants, 0) as valid_pollutants
    from delivered
    full outer join indices
        on
            delivered.place_type = indices.place_type
            and delivered.place_code = indices.place_code
            and delivered.day = indices.day
)

select * from fct_air_quality_day
