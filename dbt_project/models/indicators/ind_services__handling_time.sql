with finished as (
    select
        area_code,
        cast(finished_at as date) as day,
        working_days
    from {{ ref('fct_service_case') }}
    where is_finished and working_days is not null
),

ind_services__handling_time as (
    {{ indicator_rows('finished', 'month', 'sum(working_days)', 'count(*)') }}
)

select * from ind_services__handling_time
