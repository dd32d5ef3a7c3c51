with measured as (
    {{ union_indicators([
        ref('ind_education__students_per_teacher'),
        ref('ind_environment__good_air_days'),
        ref('ind_environment__pm25'),
        ref('ind_health__outpatient_visits'),
        ref('ind_hotline__replied_in_time'),
        ref('ind_hotline__satisfaction'),
        ref('ind_market__enterprises'),
        ref('ind_market__new_registrations'),
        ref('ind_services__handling_time'),
        ref('ind_services__online_share'),
        ref('ind_services__within_statutory_limit'),
        ref('ind_transport__adaptive_signals'),
        ref('ind_transport__metro_trips'),
    ]) }}
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
            and coalesce(periods.period_end, areas.valid_to) between areas.valid_from and areas.valid_to
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
                then measured.value <= assessments.target * (100 + assessments.at_risk_percent) / 100
            when assessments.direction = 'higher'
                then measured.value >= assessments.target * (100 - assessments.at_risk_percent) / 100
        end as is_near
    from assessments
    left join measured
        on
            assessments.indicator_code = measured.indicator_code
            and assessments.area_code = measured.area_code
            and assessments.period = measured.period
),

fct_indicator_value as (
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
)

select * from fct_indicator_value
