-- No names and no identifiers: a person is the keyed hash of the citizen number.
with seen as (
    select
        {{ pseudonym('citizen_id') }} as person_key,
        sex,
        cast(extract(year from coalesce(birth_date, citizen_id_birth_date)) as integer) as birth_year,
        _partition,
        _row_id
    from {{ ref('stg_health__outpatient_visits') }}
    where citizen_id is not null
),

versions as (
    select
        *,
        row_number() over (
            partition by person_key
            order by _partition desc nulls last, _row_id desc nulls last
        ) as newest,
        min(_partition) over (partition by person_key) as first_partition
    from seen
),

dim_person as (
    select
        person_key,
        sex,
        birth_year,
        first_partition
    from versions
    where newest = 1
)

select * from dim_person
