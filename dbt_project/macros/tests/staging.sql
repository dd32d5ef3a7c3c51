{% test staged_as_released(model, dataset) -%}
    {#- validated = staged, release by release, and no row of anything else. -#}
    with released as (
        select partition, delivery, contract, rows
        from {{ input_table('releases') }}
        where dataset = '{{ dataset }}' and rows > 0
    ),

    staged as (
        select _partition, _delivery, _contract, count(*) as rows
        from {{ model }}
        group by _partition, _delivery, _contract
    )

    select
        released.partition,
        released.delivery,
        released.rows as released_rows,
        staged._partition,
        staged._delivery,
        staged.rows as staged_rows
    from released
    full outer join staged
        on released.partition = staged._partition
        and released.delivery = staged._delivery
        and released.contract = staged._contract
    where released.rows is distinct from staged.rows
{%- endtest %}

{% test cast_failures_at_most(model, maximum) -%}
    {#- A cast that fails leaves a NULL; this keeps such NULLs from passing unseen. -#}
    select sum(_cast_failures) as cast_failures
    from {{ model }}
    having coalesce(sum(_cast_failures), 0) > {{ maximum }}
{%- endtest %}
