with fct_indicator_value as (
    {{ indicator_values([
        ref('ind_education__students_per_teacher'),
        ref('ind_environment__good_air_days'),
        ref('ind_environment__pm25'),
        ref('ind_health__outpatient_visits'),
        ref('ind_hotline__replied_in_time'),
        ref('ind_hotline__satisfaction'),
        ref('ind_market__enterprises'),
        ref('ind_market__new_registrations'),
        ref('ind_services__handling_time'),
        ref('ind_services__online_share'),
        ref('ind_services__within_statutory_limit'),
        ref('ind_transport__adaptive_signals'),
        ref('ind_transport__metro_trips'),
    ]) }}
)

select * from fct_indicator_value
