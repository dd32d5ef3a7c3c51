with visits as (
    select
        area_code,
        visited_on as day
    from {{ ref('fct_outpatient_visit') }}
),

ind_health__outpatient_visits as (
    {{ indicator_rows(
        'visits', 'month', 'count(*)', 'count(distinct day)', factor=10000, per_resident=true,
    ) }}
)

select * from ind_health__outpatient_visits
