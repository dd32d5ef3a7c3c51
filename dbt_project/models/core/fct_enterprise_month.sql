with fct_enterprise_month as (
    select
        uscc,
        cast(_partition || '-01' as date) as month_start,
        district as area_code,
        status,
        status in ('1', '存续') as is_in_business,
        {{ period_start('month', 'established_on') }} = cast(_partition || '-01' as date) as is_new,
        _row_id
    from {{ ref('stg_market__enterprises') }}
)

select * from fct_enterprise_month
