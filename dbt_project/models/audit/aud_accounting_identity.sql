with aud_accounting_identity as (
    {{ accounting_identity(staged_counts([
        ref('stg_education__schools'),
        ref('stg_environment__air_quality'),
        ref('stg_gov_services__service_cases'),
        ref('stg_health__outpatient_visits'),
        ref('stg_hotline__satisfaction'),
        ref('stg_hotline__tickets'),
        ref('stg_market__enterprises'),
        ref('stg_transport__metro_trips'),
        ref('stg_transport__signalised_intersections'),
    ])) }}
)

select * from aud_accounting_identity
