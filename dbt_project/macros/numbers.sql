{#- Exact arithmetic in whole numbers: the same result on every engine, thread count and order. -#}

{% macro divide_floor(numerator, denominator) -%}
    {#- Whole quotient of two non-negative whole numbers, without a float in between. -#}
    {{ return(adapter.dispatch('divide_floor')(numerator, denominator)) }}
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

{% macro from_ten_thousandths(value, type='decimal(12, 4)') -%}
    {#- A whole number of ten-thousandths as a decimal, without a float in between. -#}
    cast(cast({{ value }} as decimal(18, 0)) * cast(0.0001 as decimal(4, 4)) as {{ type }})
{%- endmacro %}

{% macro ratio(numerator, denominator, factor=1) -%}
    {#- An indicator's value: four decimals, half away from zero; NULL when there is nothing to
        divide by. Long division in whole numbers: engines round quotients of floats differently
        where the fifth decimal is a 5 (n / 400000 in percent). The numbers are those of
        decimal(24, 4); what does not fit is an error, not another number. -#}
    {%- set above = 'cast(abs(' ~ numerator ~ ') * 10000 as ' ~ wide_integer() ~ ') * ' ~ factor -%}
    {%- set below = 'cast(' ~ denominator ~ ' * 10000 as ' ~ wide_integer() ~ ')' -%}
    case
        when {{ denominator }} > 0
            then {{ from_ten_thousandths(
                'case when ' ~ numerator ~ ' < 0 then -1 else 1 end'
                ~ ' * (' ~ divide_floor(above, below) ~ ' * 10000'
                ~ ' + ' ~ divide_floor('(' ~ above ~ ') % ' ~ below ~ ' * 20000 + ' ~ below, below ~ ' * 2')
                ~ ')',
                'decimal(18, 4)'
            ) }}
    end
{%- endmacro %}
