{#- What Spark Connect engines (Apache Spark, Sail) spell differently. The engine sees the object
    store's buckets below CITYLEDGER_SPARK_STORE; every table of a build is Parquet in a folder of
    its own below CITYLEDGER_SPARK_LOCATION, which no other build writes to. -#}

{% macro spark_path(uri) -%}
    {%- if uri.startswith('s3://') -%}
        {{ return(env_var('CITYLEDGER_SPARK_STORE', 's3://') ~ uri[5:]) }}
    {%- endif -%}
    {{ return(uri) }}
{%- endmacro -%}

{% macro spark__read_parquet_file(path) -%}
    parquet.`{{ spark_path(path | trim) }}`
{%- endmacro %}

{% macro spark__released_rows(columns, releases) -%}
    {#- Objects of one contract have the same columns, so one object of each is asked for them. A
        column that an older contract did not know is NULL in its objects. -#}
    {%- set known = {} -%}
    select
        {%- for name, type in columns %}
        cast(null as {{ type }}) as {{ name }},
        {%- endfor %}
        cast(null as string) as _source_object,
        cast(null as bigint) as _source_row,
        cast(null as string) as _row_id,
        cast(null as string) as _partition,
        cast(null as string) as _delivery,
        cast(null as string) as _contract
    where 1 = 0
    {%- for release in releases %}
    {%- set table = spark__read_parquet_file(release.uri) -%}
    {%- if release.contract[:8] not in known -%}
        {%- set sample = run_query('select * from ' ~ table ~ ' limit 0') -%}
        {%- do known.update({release.contract[:8]: sample.column_names}) -%}
    {%- endif %}
    union all
    select
        {%- for name, type in columns %}
        {{ name if name in known[release.contract[:8]] else 'cast(null as ' ~ type ~ ')' }} as {{ name }},
        {%- endfor %}
        _source_object,
        _source_row,
        _row_id,
        '{{ release.partition }}' as _partition,
        '{{ release.delivery }}' as _delivery,
        '{{ release.contract }}' as _contract
    from {{ table }}
    {%- endfor %}
{%- endmacro %}

{% macro spark__unstaged(releases) -%}
    {#- Parquet tables cannot lose rows, so staging is built anew from all releases. -#}
    {{ return(releases) }}
{%- endmacro %}

{% macro spark__pseudonym(column) -%}
    {#- The pads lie in a temporary view of the session that `standardise` opened; without it the
        statement fails, so nothing is built without the key. -#}
    sha2(concat(
        (select pads.pseudonym_outer from pseudonym_pads as pads),
        unhex(sha2(concat(
            (select pads.pseudonym_inner from pseudonym_pads as pads), encode({{ column }}, 'utf-8')
        ), 256))
    ), 256)
{%- endmacro %}

{% macro spark__days_between(first_day, last_day) -%}
    select explode(sequence(date '{{ first_day }}', date '{{ last_day }}', interval 1 day)) as day
{%- endmacro %}

{% macro spark__seconds_between(earlier, later) -%}
    (unix_timestamp(cast({{ later }} as timestamp)) - unix_timestamp(cast({{ earlier }} as timestamp)))
{%- endmacro %}

{% macro spark__text_literal(text) -%}
    '{{ text | replace('\\', '\\\\') | replace("'", "\\'") }}'
{%- endmacro %}

{% macro spark__wide_integer() -%}
    {{ return('decimal(38, 0)') }}
{%- endmacro %}

{% macro spark__divide_floor(numerator, denominator) -%}
    cast(({{ numerator }}) div ({{ denominator }}) as bigint)
{%- endmacro %}

{% macro spark_table_as(relation, sql) -%}
    create table {{ relation }}
    using parquet
    location '{{ env_var('CITYLEDGER_SPARK_LOCATION') }}/{{ relation.schema }}/{{ relation.identifier }}'
    as
    {{ sql }}
{%- endmacro %}

{% macro spark_build_table() -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks) }}
    {%- if config.get('contract').enforced -%}
        {{ get_assert_columns_equivalent(compiled_code) }}
    {%- endif -%}
    {% call statement('drop') -%} drop table if exists {{ target_relation }} {%- endcall %}
    {% call statement('main') -%}
        {{ spark_table_as(
            target_relation,
            get_select_subquery(compiled_code) if config.get('contract').enforced else compiled_code
        ) }}
    {%- endcall %}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{%- endmacro %}

{% materialization table, adapter='spark' -%}
    {{ return(spark_build_table()) }}
{%- endmaterialization %}

{% materialization incremental, adapter='spark' -%}
    {{ return(spark_build_table()) }}
{%- endmaterialization %}

{% macro spark__create_csv_table(model, agate_table) -%}
    {%- set types = model['config'].get('column_types', {}) -%}
    {% call statement('drop_seed') -%} drop table if exists {{ this }} {%- endcall %}
    {% call statement('seed') -%}
        {%- set rows -%}
            select
                {%- for name in agate_table.column_names %}
                cast({{ name }} as {{ types.get(name, 'string') }}) as {{ name }}{{ ',' if not loop.last }}
                {%- endfor %}
            from (
                values
                {%- for row in agate_table.rows %}
                ({% for cell in row -%}
                    {{ 'cast(null as string)' if cell is none else spark__text_literal(cell | string) }}
                    {{- ', ' if not loop.last }}
                {%- endfor %}){{ ',' if not loop.last }}
                {%- endfor %}
            ) as cells ({{ agate_table.column_names | join(', ') }})
        {%- endset -%}
        {{ spark_table_as(this, rows) }}
    {%- endcall %}
    {{ return('') }}
{%- endmacro %}

{% macro spark__reset_csv_table(model, full_refresh, old_relation, agate_table) -%}
    {{ return(spark__create_csv_table(model, agate_table)) }}
{%- endmacro %}

{% macro spark__load_csv_rows(model, agate_table) -%}
    {#- The table is made with its rows. -#}
    {{ return('') }}
{%- endmacro %}
