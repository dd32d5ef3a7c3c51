{#- Exact arithmetic in whole numbers: the same result on every engine, thread count and order. -#}

{% macro divide_floor(numerator, denominator) -%}
    {#- Whole quotient of two non-negative whole numbers. -#}
    cast((({{ numerator }}) - ({{ numerator }}) % ({{ denominator }})) / ({{ denominator }}) as bigint)
{%- endmacro %}

{% macro divide_ceil(numerator, denominator) -%}
    {#- Quotient of two non-negative whole numbers, rounded up. -#}
    {{ divide_floor('(' ~ numerator ~ ') + (' ~ denominator ~ ') - 1', denominator) }}
{%- endmacro %}

{% macro divide_half_even(numerator, denominator) -%}
    {#- Quotient of two non-negative whole numbers, rounded as GB/T 8170 says: half to even. -#}
    {{ divide_floor(numerator, denominator) }}
    + case
        when 2 * (({{ numerator }}) % ({{ denominator }})) > ({{ denominator }}) then 1
        when 2 * (({{ numerator }}) % ({{ denominator }})) = ({{ denominator }})
            then {{ divide_floor(numerator, denominator) }} % 2
        else 0
    end
{%- endmacro %}

{% macro ratio(numerator, denominator, factor=1) -%}
    {#- An indicator's value: four decimals; NULL when there is nothing to divide by. Both sides are
        exact and well below 2^53, so one division of doubles is reproducible. -#}
    case
        when {{ denominator }} > 0
            then cast(
                round(cast({{ numerator }} as double) * {{ factor }} / cast({{ denominator }} as double), 4)
                as decimal(18, 4)
            )
    end
{%- endmacro %}
