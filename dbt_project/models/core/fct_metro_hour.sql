with fct_metro_hour as (
    select
        operating_date,
        entry_hour,
        area_code,
        line,
        count(*) as trips,
        cast(sum(fare) as decimal(18, 2)) as fare,
        cast(sum(distance_km) as decimal(18, 3)) as distance_km
    from {{ ref('fct_metro_trip') }}
    group by operating_date, entry_hour, area_code, line
)

select * from fct_metro_hour
