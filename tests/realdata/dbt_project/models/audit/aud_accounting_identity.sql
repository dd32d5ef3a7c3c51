with aud_accounting_identity as (
    {{ accounting_identity(staged_counts([
        ref('stg_beijing__air_quality_hourly'),
        ref('stg_lirr__stop_times'),
        ref('stg_lirr__stops'),
        ref('stg_lirr__trips'),
        ref('stg_nyc__service_requests'),
        ref('stg_wuhan__covid_daily'),
    ])) }}
)

select * from aud_accounting_identity
