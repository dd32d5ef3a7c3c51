-- Stations and the city, whose concentration is the mean of its stations' (HJ 663). A value is NULL
-- where too few hours are valid.
with station_days as (
    {{ air_station_days(ref('fct_air_observation')) }}
),

totals as (
    select
        day,
        pollutant,
        cast(sum(value) as bigint) as total,
        count(value) as stations
    from station_days
    where value is not null
    group by day, pollutant
),

fct_air_concentration_day as (
    select
        'station' as place_type,
        station_code as place_code,
        day,
        pollutant,
        {{ from_ten_thousandths('value') }} as concentration
    from station_days
    union all
    select
        'city' as place_type,
        city.area_code as place_code,
        totals.day,
        totals.pollutant,
        {{ from_ten_thousandths(divide_half_even('totals.total', 'totals.stations')) }} as concentration
    from totals
    cross join {{ ref('dim_area') }} as city
    where city.level = 'city'
)

select * from fct_air_concentration_day
