{#- Functions that engines spell differently. -#}

{% macro pseudonym(column) -%}
    {#- HMAC-SHA-256 of a direct identifier under the city's key, as hex: the same person gets the
        same pseudonym in every dataset, and nobody without the key can make or undo one. Fails
        closed: without the key nothing is built. -#}
    {{ return(adapter.dispatch('pseudonym')(column)) }}
{%- endmacro %}

{% macro duckdb__pseudonym(column) -%}
    {%- if execute and run_query("select getvariable('pseudonym_inner') is null").columns[0][0] -%}
        {{ exceptions.raise_compiler_error('no pseudonym key: set CITYLEDGER_PSEUDONYM_KEY') }}
    {%- endif -%}
    sha256(
        getvariable('pseudonym_outer')
        || unhex(sha256(getvariable('pseudonym_inner') || encode({{ column }})))
    )
{%- endmacro %}

{% macro text_literal(text) -%}
    {#- A text as SQL: a backslash is an escape to some engines and a character to others. -#}
    {{ return(adapter.dispatch('text_literal')(text)) }}
{%- endmacro %}

{% macro duckdb__text_literal(text) -%}
    '{{ text | replace("'", "''") }}'
{%- endmacro %}

{% macro wide_integer() -%}
    {#- Whole numbers of 38 digits. -#}
    {{ return(adapter.dispatch('wide_integer')()) }}
{%- endmacro %}

{% macro duckdb__wide_integer() -%}
    {{ return('hugeint') }}
{%- endmacro %}

{% macro duckdb__divide_floor(numerator, denominator) -%}
    cast(({{ numerator }}) // ({{ denominator }}) as bigint)
{%- endmacro %}

{% macro days_between(first_day, last_day) -%}
    {#- One row a day, both ends included, in column `day`. -#}
    {{ return(adapter.dispatch('days_between')(first_day, last_day)) }}
{%- endmacro %}

{% macro duckdb__days_between(first_day, last_day) -%}
    select cast(unnest(
        generate_series(date '{{ first_day }}', date '{{ last_day }}', interval 1 day)
    ) as date) as day
{%- endmacro %}

{% macro seconds_between(earlier, later) -%}
    {{ return(adapter.dispatch('seconds_between')(earlier, later)) }}
{%- endmacro %}

{% macro duckdb__seconds_between(earlier, later) -%}
    datediff('second', {{ earlier }}, {{ later }})
{%- endmacro %}
