with dim_department as (
    select
        code as department_code,
        name,
        name_en
    from {{ input_table('departments') }}
)

select * from dim_department
