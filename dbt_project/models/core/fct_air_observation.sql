with observations as (
    {{ air_observations(ref('stg_environment__air_quality'), row_id='_row_id') }}
),

stations as (
    select
        station_code,
        district,
        row_number() over (
            partition by station_code
            order by _partition desc nulls last, _row_id desc nulls last
        ) as newest
    from {{ ref('stg_environment__air_quality') }}
),

fct_air_observation as (
    select
        observations.station_code,
        stations.district as area_code,
        observations.observed_at,
        observations.pollutant,
        observations.concentration,
        case when observations.pollutant = 'co' then 'mg/m³' else 'µg/m³' end as unit,
        observations._row_id
    from observations
    inner join stations
        on observations.station_code = stations.station_code and stations.newest = 1
)

select * from fct_air_observation
