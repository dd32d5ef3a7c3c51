-- An area's index follows from its concentrations, never from its stations' indices.
with fct_air_quality_day as (
    {{ air_indices(
        ref('fct_air_concentration_day'), ref('aqi_breakpoints'), ['place_type', 'place_code'],
    ) }}
)

select * from fct_air_quality_day
