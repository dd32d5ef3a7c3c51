with dim_area as (
    select
        code as area_code,
        name,
        level,
        population,
        coalesce(valid_from, date '0001-01-01') as valid_from,
        coalesce(valid_to, date '9999-12-31') as valid_to
    from {{ input_table('areas') }}
)

select * from dim_area
