-- Stations, districts and the city: an area's concentration is the mean of its stations' daily
-- concentrations (HJ 663).
with station_days as (
    {{ air_station_days(ref('fct_air_observation')) }}
),

stations as (
    select distinct
        station_code,
        area_code
    from {{ ref('fct_air_observation') }}
),

city as (
    select min(area_code) as area_code
    from {{ ref('dim_area') }}
    where level = 'city'
),

places as (
    select
        'station' as place_type,
        station_code as place_code,
        station_code
    from stations
    union all
    select
        'area' as place_type,
        area_code as place_code,
        station_code
    from stations
    union all
    select
        'area' as place_type,
        city.area_code as place_code,
        stations.station_code
    from stations
    cross join city
),

totals as (
    select
        places.place_type,
        places.place_code,
        station_days.day,
        station_days.pollutant,
        cast(sum(station_days.value) as bigint) as total,
        count(station_days.value) as stations
    from station_days
    inner join places on station_days.station_code = places.station_code
    group by places.place_type, places.place_code, station_days.day, station_days.pollutant
),

fct_air_concentration_day as (
    select
        place_type,
        place_code,
        day,
        pollutant,
        {{ from_ten_thousandths(divide_half_even('total', 'stations')) }} as concentration,
        cast(stations as integer) as stations
    from totals
    where stations > 0
)

select * from fct_air_concentration_day
