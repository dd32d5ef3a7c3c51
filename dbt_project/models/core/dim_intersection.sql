with dim_intersection as (
    select
        intersection_id,
        cast(_partition || '-01' as date) as month_start,
        intersection_name,
        district as area_code,
        control_mode,
        adaptive as is_adaptive,
        status,
        status = '在用' as is_in_service,
        installed_on,
        renewed_on,
        approaches,
        longitude,
        latitude,
        _row_id
    from {{ ref('stg_transport__signalised_intersections') }}
)

select * from dim_intersection
