{% materialization table, adapter='duckdb' -%}
    {#- One statement, one commit: readers see the old table or the new one, and a build that dies
        leaves no intermediate tables. dbt-duckdb's own way (create, rename twice, drop) takes two
        commits and four statements on the lake's catalogue: a third of the whole build. -#}
    {%- set existing_relation = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='table') -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- if existing_relation is not none and not existing_relation.is_table -%}
        {{ drop_relation_if_exists(existing_relation) }}
    {%- endif -%}

    {%- if config.get('contract').enforced -%}
        {{ get_assert_columns_equivalent(compiled_code) }}
    {%- endif -%}

    {% call statement('main') -%}
        create or replace table {{ target_relation }} as (
            {{ get_select_subquery(compiled_code) if config.get('contract').enforced else compiled_code }}
        )
    {%- endcall %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}
