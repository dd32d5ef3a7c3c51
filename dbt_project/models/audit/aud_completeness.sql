-- The index of what must have been assessed × what became of it: partitions of every dataset
-- between its first and its last known one, and every indicator for every area and period.
with expected as (
    select
        dataset,
        department,
        partition
    from {{ input_table('expected_partitions') }}
),

releases as (
    select
        dataset,
        partition,
        max(case when is_released then 1 else 0 end) as released
    from {{ input_table('known_partitions') }}
    group by dataset, partition
),

partitions as (
    select
        'dataset' as subject_type,
        expected.dataset as subject,
        expected.department,
        cast(null as string) as area_code,
        expected.partition as period,
        case
            when releases.released = 1 then 'assessed'
            when releases.released = 0 then 'held'
            else 'missing'
        end as status
    from expected
    left join releases
        on expected.dataset = releases.dataset and expected.partition = releases.partition
),

indicators as (
    select
        'indicator' as subject_type,
        indicator_values.indicator_code as subject,
        cards.responsible_department as department,
        indicator_values.area_code,
        indicator_values.period,
        case
            when indicator_values.status = 'insufficient_data' then 'missing' else 'assessed'
        end as status
    from {{ ref('fct_indicator_value') }} as indicator_values
    inner join {{ ref('dim_indicator') }} as cards
        on indicator_values.indicator_code = cards.indicator_code
),

aud_completeness as (
    select * from partitions
    union all
    select * from indicators
)

select
    subject_type,
    subject,
    department,
    area_code,
    period,
    status
from aud_completeness
