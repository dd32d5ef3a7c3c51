with dim_school as (
    select
        school_code,
        cast(_partition as integer) as school_year,
        school_name,
        district as area_code,
        school_type,
        ownership,
        founded as founded_on,
        classes,
        students,
        teachers,
        _row_id
    from {{ ref('stg_education__schools') }}
)

select * from dim_school
