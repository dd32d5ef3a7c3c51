{% macro stage(dataset, columns) -%}
    {#- The staging model of a dataset: the released rows, typed as the contract says.

        columns: [(name, type)]. A value that cannot be cast becomes NULL *and* is counted in
        `_cast_failures`, which a test bounds, so nothing vanishes silently. Incremental: only
        releases that the table does not hold yet are read; the strategy `replace_released`
        removes what is no longer released. -#}
    {%- set releases = unstaged(released(dataset)) -%}
    with released as (
        {{ released_rows(columns, releases) }}
    )

    select
        {%- for name, type in columns %}
        try_cast({{ name }} as {{ type }}) as {{ name }},
        {%- endfor %}
        {% for name, type in columns -%}
        case when {{ name }} is not null and try_cast({{ name }} as {{ type }}) is null then 1 else 0 end
        {%- if not loop.last %}
        + {% endif -%}
        {%- endfor %} as _cast_failures,
        _source_object,
        _source_row,
        _row_id,
        _partition,
        _delivery,
        _contract
    from released
{%- endmacro %}

{% macro unstaged(releases) -%}
    {#- Those releases that the staging table of this model does not hold yet. -#}
    {{ return(adapter.dispatch('unstaged')(releases)) }}
{%- endmacro %}

{% macro duckdb__unstaged(releases) -%}
    {%- if not (execute and is_incremental()) -%}
        {{ return(releases) }}
    {%- endif -%}
    {%- set held = [] -%}
    {%- for row in run_query('select distinct _partition, _delivery, _contract from ' ~ this).rows -%}
        {%- do held.append(row[0] ~ '/' ~ row[1] ~ '/' ~ row[2]) -%}
    {%- endfor -%}
    {%- set missing = [] -%}
    {%- for release in releases -%}
        {%- if release.partition ~ '/' ~ release.delivery ~ '/' ~ release.contract not in held -%}
            {%- do missing.append(release) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(missing) }}
{%- endmacro %}

{% macro get_incremental_replace_released_sql(arg_dict) -%}
    {#- dbt finds this by its name. After it the table holds exactly the current releases: rows of
        a delivery that was replaced, or that a newer contract validated again, go; the new come.
        Rows are counted by their release, not by partition, so a redelivery without any good
        row empties its partition, too. -#}
    {%- set dataset = model.name | replace('stg_', '', 1) | replace('__', '.', 1) -%}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    delete from {{ target }}
    where not ({{ is_released(released(dataset)) }});

    insert into {{ target }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }};
{%- endmacro %}

{% macro is_released(releases) -%}
    {%- if not releases -%}
        1 = 0
    {%- else -%}
        concat(_partition, '/', _delivery, '/', _contract) in (
            {%- for release in releases -%}
            '{{ release.partition }}/{{ release.delivery }}/{{ release.contract }}'
            {%- if not loop.last %}, {% endif -%}
            {%- endfor -%}
        )
    {%- endif -%}
{%- endmacro %}
