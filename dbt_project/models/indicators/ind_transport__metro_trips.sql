with hours as (
    select
        area_code,
        operating_date as day,
        trips
    from {{ ref('fct_metro_hour') }}
),

ind_transport__metro_trips as (
    {{ indicator_rows(
        'hours', 'month', 'sum(trips)', 'count(distinct day)', factor=10000, per_resident=true,
    ) }}
)

select * from ind_transport__metro_trips
