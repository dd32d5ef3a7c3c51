{% macro period_key(grain, start) -%}
    {#- The ISO key of the period that starts on a day: 2026-03-31, 2026-03, 2026. -#}
    substring(cast({{ start }} as string), 1, {{ {'day': 10, 'month': 7, 'year': 4}[grain] }})
{%- endmacro %}

{% macro period_start(grain, day) -%}
    cast(date_trunc('{{ grain }}', {{ day }}) as date)
{%- endmacro %}

{% macro period_end(grain, start) -%}
    cast({{ start }} + interval '1' {{ grain }} - interval '1' day as date)
{%- endmacro %}
