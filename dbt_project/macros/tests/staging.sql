{% test staged_soundly(model, dataset, cast_failures=0) -%}
    {#- validated = staged, release by release, and nothing else; every row has an id of its own; no
        more casts failed than allowed (a cast that fails leaves a NULL, which must not pass
        unseen). One test with a row for each problem, because each test costs a node. -#}
    with released as (
        select partition, delivery, contract, rows
        from {{ input_table('releases') }}
        where dataset = '{{ dataset }}' and rows > 0
    ),

    staged as (
        select
            _partition as partition,
            _delivery as delivery,
            _contract as contract,
            count(*) as rows,
            sum(_cast_failures) as cast_failures
        from {{ model }}
        group by _partition, _delivery, _contract
    ),

    repeated as (
        select _row_id
        from {{ model }}
        group by _row_id
        having count(*) > 1 or _row_id is null
    )

    select
        'rows of a release differ' as problem,
        coalesce(released.partition, staged.partition) as place
    from released
    full outer join staged
        on released.partition = staged.partition
        and released.delivery = staged.delivery
        and released.contract = staged.contract
    where released.rows is distinct from staged.rows
    union all
    select
        'row id missing or repeated' as problem,
        _row_id as place
    from repeated
    union all
    select
        'casts failed' as problem,
        cast(sum(cast_failures) as string) as place
    from staged
    having coalesce(sum(cast_failures), 0) > {{ cast_failures }}
{%- endtest %}
