{#- What `standardise` hands to the models: small Parquet files whose folder stays the same, so
    that dbt's partial parse survives a changed list of releases (a changed var would void it). -#}

{% macro input_path(name) -%}
    {{ return(env_var('CITYLEDGER_DBT_INPUT_DIR', 'target/input') ~ '/' ~ name ~ '.parquet') }}
{%- endmacro %}

{% macro input_table(name) -%}
    {#- Name is one of: releases, accounting, rule_results, datasets, areas, departments. -#}
    {{ read_parquet_file(input_path(name)) }}
{%- endmacro %}

{% macro released(dataset) -%}
    {#- The released deliveries of a dataset, one a partition, in partition order:
        [{partition, delivery, contract, uri}]. Empty while parsing. -#}
    {%- set releases = [] -%}
    {%- if execute -%}
        {%- set query -%}
            select partition, delivery, contract, uri
            from {{ input_table('releases') }}
            where dataset = '{{ dataset }}'
            order by partition nulls last, delivery nulls last
        {%- endset -%}
        {%- for row in run_query(query).rows -%}
            {%- do releases.append({
                'partition': row[0], 'delivery': row[1], 'contract': row[2], 'uri': row[3]
            }) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(releases) }}
{%- endmacro %}
