{#- Stand-ins for macros/adapters/engine.sql, compiled by `cityledger audit lint` only: portable SQL
    of the same shape and type, so that what is found stands outside of them. -#}

{% macro pseudonym(column) -%}
    sha2({{ column }}, 256)
{%- endmacro %}

{% macro text_literal(text) -%}
    '{{ text | replace("'", "''") }}'
{%- endmacro %}

{% macro wide_integer() -%}
    decimal(38, 0)
{%- endmacro %}

{% macro duckdb__divide_floor(numerator, denominator) -%}
    cast(({{ numerator }}) - ({{ denominator }}) as bigint)
{%- endmacro %}

{% macro days_between(first_day, last_day) -%}
    select greatest(date '{{ first_day }}', date '{{ last_day }}') as day
{%- endmacro %}

{% macro seconds_between(earlier, later) -%}
    greatest(cast({{ earlier }} as timestamp), cast({{ later }} as timestamp))
{%- endmacro %}
