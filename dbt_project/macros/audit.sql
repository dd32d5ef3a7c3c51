{% macro staged_counts(models) -%}
    {#- Rows of every release in the staging tables. -#}
    {%- for relation in models %}
    select
        '{{ relation.identifier | replace('stg_', '', 1) | replace('__', '.', 1) }}' as dataset,
        _partition as partition,
        _delivery as delivery,
        _contract as contract,
        count(*) as staged
    from {{ relation }}
    group by _partition, _delivery, _contract
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{% macro accounting_identity(staged) -%}
    {#- One row a released delivery, with every count and whether the identity holds. Deliveries
        that only one side knows keep their row: the counts of the other side are NULL then, and
        `is distinct from` makes the identity false. -#}
    with accounting as (
        select *
        from {{ input_table('accounting') }}
    ),

    staged as (
        {{ staged }}
    ),

    matched as (
        select
            coalesce(accounting.dataset, staged.dataset) as dataset,
            coalesce(accounting.partition, staged.partition) as partition,
            coalesce(accounting.delivery, staged.delivery) as delivery,
            coalesce(accounting.contract, staged.contract) as contract,
            accounting.declared,
            accounting.extracted,
            accounting.parsed,
            accounting.rejected,
            accounting.expected_rejects,
            accounting.validated,
            accounting.quarantined,
            -- a delivery whose every row is in quarantine has no staged row to count
            case when accounting.validated = 0 then coalesce(staged.staged, 0) else staged.staged end
                as staged
        from accounting
        full outer join staged
            on accounting.dataset = staged.dataset
            and accounting.partition = staged.partition
            and accounting.delivery = staged.delivery
            and accounting.contract = staged.contract
    )

    select
        dataset,
        partition,
        delivery,
        contract,
        declared,
        extracted,
        parsed,
        rejected,
        expected_rejects,
        validated,
        quarantined,
        staged,
        -- what the department declares are data rows: totals and notes are not among them
        case
            when declared is null then 'not_declared'
            when (declared is distinct from extracted - expected_rejects) then 'differs'
            else 'agrees'
        end as declaration,
        not (
            extracted is distinct from parsed + rejected
            or parsed is distinct from validated + quarantined
            or validated is distinct from staged
        ) as is_balanced
    from matched
{%- endmacro %}
