with fct_outpatient_visit as (
    select
        visit_no,
        {{ pseudonym('citizen_id') }} as person_key,
        district as area_code,
        hospital,
        department,
        visit_type,
        visited_at,
        cast(visited_at as date) as visited_on,
        -- the three-character category of ICD-10; the full code stays in staging
        substring(diagnosis, 1, 3) as diagnosis_category,
        total_fee,
        insurance_fee,
        self_fee,
        _row_id
    from {{ ref('stg_health__outpatient_visits') }}
)

select * from fct_outpatient_visit
