with accepted as (
    select
        area_code,
        cast(accepted_at as date) as day,
        is_online
    from {{ ref('fct_case') }}
),

ind_services__online_share as (
    {{ indicator_rows(
        'accepted', 'month', 'sum(case when is_online then 1 else 0 end)', 'count(*)', factor=100,
    ) }}
)

select * from ind_services__online_share
