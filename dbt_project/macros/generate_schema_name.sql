{% macro generate_schema_name(custom_schema_name, node) -%}
    {#- A layer's name is its schema, in every environment: lineage, grants and evidence use it. -#}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
