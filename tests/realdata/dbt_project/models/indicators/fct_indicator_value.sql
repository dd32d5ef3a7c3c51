with fct_indicator_value as (
    {{ indicator_values([ref('ind_environment__good_air_days')]) }}
)

select * from fct_indicator_value
