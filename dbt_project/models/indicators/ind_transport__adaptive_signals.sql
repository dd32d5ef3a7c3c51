with in_service as (
    select
        area_code,
        month_start as day,
        is_adaptive
    from {{ ref('dim_intersection') }}
    where is_in_service
),

ind_transport__adaptive_signals as (
    {{ indicator_rows(
        'in_service', 'month', 'sum(case when is_adaptive then 1 else 0 end)', 'count(*)', factor=100,
    ) }}
)

select * from ind_transport__adaptive_signals
