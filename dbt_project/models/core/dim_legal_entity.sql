with versions as (
    select
        *,
        row_number() over (
            partition by uscc
            order by _partition desc nulls last, _row_id desc nulls last
        ) as newest,
        min(_partition) over (partition by uscc) as first_partition,
        max(_partition) over (partition by uscc) as last_partition
    from {{ ref('stg_market__enterprises') }}
),

dim_legal_entity as (
    select
        uscc,
        uscc_class,
        enterprise_name,
        enterprise_type,
        registered_capital,
        registered_capital_currency,
        industry_code,
        district as area_code,
        established_on,
        approved_on,
        status,
        employees,
        first_partition,
        last_partition,
        _row_id
    from versions
    where newest = 1
)

select * from dim_legal_entity
