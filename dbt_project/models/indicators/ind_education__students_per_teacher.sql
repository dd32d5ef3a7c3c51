with schools as (
    select
        area_code,
        cast(cast(school_year as string) || '-01-01' as date) as day,
        students,
        teachers
    from {{ ref('dim_school') }}
),

ind_education__students_per_teacher as (
    {{ indicator_rows('schools', 'year', 'sum(students)', 'sum(teachers)') }}
)

select * from ind_education__students_per_teacher
