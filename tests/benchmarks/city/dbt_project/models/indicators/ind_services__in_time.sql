with accepted as (
    select
        area_code,
        cast(accepted_at as date) as day,
        is_in_time
    from {{ ref('fct_case') }}
),

ind_services__in_time as (
    {{ indicator_rows(
        'accepted', 'month', 'sum(case when is_in_time then 1 else 0 end)', 'count(*)', factor=100,
    ) }}
)

select * from ind_services__in_time
