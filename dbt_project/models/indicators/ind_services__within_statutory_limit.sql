with finished as (
    select
        area_code,
        cast(finished_at as date) as day,
        is_within_statutory_limit
    from {{ ref('fct_service_case') }}
    where is_finished and is_within_statutory_limit is not null
),

ind_services__within_statutory_limit as (
    {{ indicator_rows(
        'finished',
        'month',
        'sum(case when is_within_statutory_limit then 1 else 0 end)',
        'count(*)',
        factor=100,
    ) }}
)

select * from ind_services__within_statutory_limit
