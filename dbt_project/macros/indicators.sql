{% macro indicator_code() -%}
    {#- From the model's card; dbt does not know the card yet while it parses. -#}
    {{ return(model.config.meta.get('indicator', {}).get('code')) }}
{%- endmacro %}

{% macro indicator_rows(facts, grain, numerator, denominator, factor=1, per_resident=false) -%}
    {#- The rows of an indicator: one a district and one for the city, for each period.

        facts: a CTE or relation with `area_code`, `day` and what the aggregates read.
        per_resident: `denominator` is then the number of days as an aggregate, or 1; it is
        multiplied with the area's residents on the last day of the period. -#}
    {%- set code = indicator_code() -%}
    with per_area as (
        select
            area_code,
            {{ period_start(grain, 'day') }} as period_start,
            cast({{ numerator }} as decimal(24, 4)) as numerator,
            cast({{ denominator }} as decimal(24, 4)) as denominator
        from {{ facts }}
        group by area_code, {{ period_start(grain, 'day') }}
        union all
        select
            city.area_code,
            {{ period_start(grain, 'day') }} as period_start,
            cast({{ numerator }} as decimal(24, 4)) as numerator,
            cast({{ denominator }} as decimal(24, 4)) as denominator
        from {{ facts }}
        cross join (
            select min(area_code) as area_code
            from {{ ref('dim_area') }}
            where level = 'city'
        ) as city
        group by city.area_code, {{ period_start(grain, 'day') }}
    ),

    dated as (
        select
            area_code,
            period_start,
            {{ period_end(grain, 'period_start') }} as period_end,
            numerator,
            denominator
        from per_area
    ),

    measured as (
        select
            dated.area_code,
            dated.period_start,
            dated.period_end,
            dated.numerator,
            {% if per_resident -%}
            cast(dated.denominator * areas.population as decimal(24, 4)) as denominator
            {%- else -%}
            dated.denominator
            {%- endif %}
        from dated
        {%- if per_resident %}
        left join {{ ref('dim_area') }} as areas
            on dated.area_code = areas.area_code
            and dated.period_end between areas.valid_from and areas.valid_to
        {%- endif %}
    )

    select
        '{{ code }}' as indicator_code,
        area_code,
        {{ period_key(grain, 'period_start') }} as period,
        period_start,
        period_end,
        {{ ratio('numerator', 'denominator', factor) }} as value,
        numerator,
        denominator
    from measured
{%- endmacro %}

{% macro area_indicator_rows(facts, grain, numerator, denominator, factor=1) -%}
    {#- The same for facts that hold the city as an area of its own. -#}
    with per_area as (
        select
            area_code,
            {{ period_start(grain, 'day') }} as period_start,
            cast({{ numerator }} as decimal(24, 4)) as numerator,
            cast({{ denominator }} as decimal(24, 4)) as denominator
        from {{ facts }}
        group by area_code, {{ period_start(grain, 'day') }}
    )

    select
        '{{ indicator_code() }}' as indicator_code,
        area_code,
        {{ period_key(grain, 'period_start') }} as period,
        period_start,
        {{ period_end(grain, 'period_start') }} as period_end,
        {{ ratio('numerator', 'denominator', factor) }} as value,
        numerator,
        denominator
    from per_area
{%- endmacro %}

{% macro union_indicators(relations) -%}
    {%- for relation in relations %}
    select
        indicator_code,
        area_code,
        period,
        period_start,
        period_end,
        value,
        numerator,
        denominator
    from {{ relation }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{% macro indicator_values(indicators) -%}
    {#- What fct_indicator_value holds: the rows of all indicators, each judged by its card.

        indicators: relations of the `ind_` models, listed by the model so that dbt sees them. -#}
    with measured as (
        {{- union_indicators(indicators) | indent(4) }}
    ),

    periods as (
        select distinct
            indicator_code,
            period,
            period_start,
            period_end
        from measured
    ),

    -- What must have been assessed: every card, for the city and, if the card says so, for each
    -- district in force at the period's end. A card without any data has one row, period 'none'.
    assessments as (
        select
            cards.indicator_code,
            areas.area_code,
            areas.level as area_level,
            coalesce(periods.period, 'none') as period,
            periods.period_start,
            periods.period_end,
            cards.unit,
            cards.direction,
            cards.target,
            cards.target_due,
            cards.baseline,
            cards.at_risk_percent,
            cards.definition_version
        from {{ ref('dim_indicator') }} as cards
        left join periods
            on cards.indicator_code = periods.indicator_code
        inner join {{ ref('dim_area') }} as areas
            on
                (areas.level = 'city' or (cards.is_per_district and periods.period is not null))
                and coalesce(periods.period_end, date '9999-12-31')
                between areas.valid_from and areas.valid_to
    ),

    valued as (
        select
            assessments.*,
            measured.value,
            measured.numerator,
            measured.denominator,
            case
                when assessments.direction = 'lower' then measured.value <= assessments.target
                when assessments.direction = 'higher' then measured.value >= assessments.target
            end as is_reached,
            case
                when assessments.direction = 'lower'
                    then measured.value * 100
                        <= assessments.target * cast(100 + assessments.at_risk_percent as decimal(8, 4))
                when assessments.direction = 'higher'
                    then measured.value * 100
                        >= assessments.target * cast(100 - assessments.at_risk_percent as decimal(8, 4))
            end as is_near
        from assessments
        left join measured
            on
                assessments.indicator_code = measured.indicator_code
                and assessments.area_code = measured.area_code
                and assessments.period = measured.period
    )

    select
        indicator_code,
        area_code,
        area_level,
        period,
        period_start,
        period_end,
        value,
        numerator,
        denominator,
        unit,
        target,
        baseline,
        case
            when value is null then 'insufficient_data'
            when target is null then 'not_applicable'
            when is_reached then 'met'
            when period_end < target_due then 'not_yet_due'
            when is_near then 'at_risk'
            else 'missed'
        end as status,
        definition_version
    from valued
{%- endmacro %}

{% macro indicator_cards() -%}
    {#- All indicator cards (`meta.indicator` of the ind_ models) as rows: targets and units are
        said once, in the cards. -#}
    {%- set cards = [] -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() if node.config.meta.get('indicator') -%}
            {%- do cards.append(node.config.meta.indicator) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- for card in cards | sort(attribute='code') %}
    select
        {{ card_text(card.code) }} as indicator_code,
        {{ card_text(card.name.zh) }} as name,
        {{ card_text(card.name.en) }} as name_en,
        {{ card_text(card.unit.zh) }} as unit,
        {{ card_text(card.unit.en) }} as unit_en,
        {{ card_text(card.definition.zh) }} as definition,
        {{ card_text(card.definition.en) }} as definition_en,
        {{ card_text(card.numerator) }} as numerator,
        {{ card_text(card.denominator) }} as denominator,
        {{ card_text(card.frequency) }} as frequency,
        {{ card_text(card.responsible_department) }} as responsible_department,
        {{ card_text(card.direction) }} as direction,
        {{ card_number(card.baseline) }} as baseline,
        {{ card_number(card_target(card)) }} as target,
        {{ card_date(card.target.due) }} as target_due,
        {{ card_number(card.thresholds.at_risk_percent) }} as at_risk_percent,
        {{ card_text(card.standard) }} as standard,
        {{ card_text(card.version) }} as definition_version,
        {{ card_date(card.valid_from) }} as valid_from,
        {{ card_date(card.valid_to) }} as valid_to,
        {{ 'true' if 'district' in card.areas else 'false' }} as is_per_district
    {{ 'union all' if not loop.last }}
    {%- else %}
    select
        {% for column in [
            'indicator_code', 'name', 'name_en', 'unit', 'unit_en', 'definition', 'definition_en',
            'numerator', 'denominator', 'frequency', 'responsible_department', 'direction'
        ] -%}
        {{ card_text(none) }} as {{ column }},
        {% endfor -%}
        {{ card_number(none) }} as baseline,
        {{ card_number(none) }} as target,
        {{ card_date(none) }} as target_due,
        {{ card_number(none) }} as at_risk_percent,
        {{ card_text(none) }} as standard,
        {{ card_text(none) }} as definition_version,
        {{ card_date(none) }} as valid_from,
        {{ card_date(none) }} as valid_to,
        false as is_per_district
    where 1 = 0
    {%- endfor %}
{%- endmacro %}

{% macro card_target(card) -%}
    {#- The value to reach; a reduction is said in percent of the baseline. -#}
    {%- if card.target.kind == 'reduction_percent' -%}
        {{ return((card.baseline * (100 - card.target.value) / 100) | round(4)) }}
    {%- endif -%}
    {{ return(card.target.value if card.target.kind == 'value' else none) }}
{%- endmacro %}

{% macro card_text(text) -%}
    {%- if text is none -%}
        cast(null as string)
    {%- else -%}
        cast({{ text_literal(text | string) }} as string)
    {%- endif -%}
{%- endmacro %}

{% macro card_number(number) -%}
    cast({{ 'null' if number is none else number }} as decimal(18, 4))
{%- endmacro %}

{% macro card_date(day) -%}
    cast({{ 'null' if day is none else "'" ~ day ~ "'" }} as date)
{%- endmacro %}
