{#- Reading Parquet is where engines differ: each has its own implementation here. -#}

{% macro read_parquet_file(path) -%}
    {{ return(adapter.dispatch('read_parquet_file')(path)) }}
{%- endmacro %}

{% macro duckdb__read_parquet_file(path) -%}
    read_parquet('{{ path | trim }}')
{%- endmacro %}

{% macro released_rows(columns, releases) -%}
    {{ return(adapter.dispatch('released_rows')(columns, releases)) }}
{%- endmacro %}

{% macro duckdb__released_rows(columns, releases) -%}
    {#- The typed empty row set comes first: it gives a table without releases its columns, and a
        column that an older contract did not know is NULL in that contract's objects. -#}
    select
        {%- for name, type in columns %}
        objects.{{ name }},
        {%- endfor %}
        objects._source_object,
        objects._source_row,
        objects._row_id,
        releases._partition,
        releases._delivery,
        releases._contract
    from (
        select
            {%- for name, type in columns %}
            cast(null as {{ type }}) as {{ name }},
            {%- endfor %}
            cast(null as string) as _source_object,
            cast(null as bigint) as _source_row,
            cast(null as string) as _row_id,
            cast(null as string) as _uri
        where 1 = 0
        {%- if releases %}
        union all by name
        select *
        from read_parquet(
            [
                {%- for release in releases %}
                '{{ release.uri }}'{{ ',' if not loop.last }}
                {%- endfor %}
            ],
            filename = '_uri',
            union_by_name = true,
            hive_partitioning = false
        )
        {%- endif %}
    ) as objects
    inner join (
        {%- for release in releases %}
        select
            '{{ release.uri }}' as _uri,
            '{{ release.partition }}' as _partition,
            '{{ release.delivery }}' as _delivery,
            '{{ release.contract }}' as _contract
        {{ 'union all' if not loop.last }}
        {%- else %}
        select
            cast(null as string) as _uri,
            cast(null as string) as _partition,
            cast(null as string) as _delivery,
            cast(null as string) as _contract
        where 1 = 0
        {%- endfor %}
    ) as releases
        on objects._uri = releases._uri
{%- endmacro %}
