-- What departments add up themselves against what we found: declared row counts, and the rules that
-- compare columns with the total rows of the sheet.
with declared as (
    select
        dataset,
        partition,
        delivery,
        'declared_rows' as control,
        cast(declared as bigint) as expected,
        cast(extracted - expected_rejects as bigint) as found,
        case when declaration = 'agrees' then 'agrees' else 'differs' end as status
    from {{ ref('aud_accounting_identity') }}
    where declared is not null
),

totals as (
    select
        dataset,
        partition,
        delivery,
        key as control,
        cast(null as bigint) as expected,
        cast(null as bigint) as found,
        case
            when status = 'error' then 'not_checked'
            when evaluated = 0 then 'not_checked'
            when failed = 0 then 'agrees'
            else 'differs'
        end as status
    from {{ input_table('rule_results') }}
    where rule = 'matches_total'
),

aud_control_totals as (
    select * from declared
    union all
    select * from totals
)

select
    dataset,
    partition,
    delivery,
    control,
    expected,
    found,
    status
from aud_control_totals
