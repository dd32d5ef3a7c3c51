with fct_indicator_value as (
    {{ indicator_values([ref('ind_services__in_time'), ref('ind_services__online_share')]) }}
)

select * from fct_indicator_value
