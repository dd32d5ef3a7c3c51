{#- Daily air quality by HJ 633, in whole numbers.

    Concentrations are kept in ten-thousandths of their unit (µg/m³; CO mg/m³): sums of the
    contract's decimals are exact then, and the technical regulation's rounding (GB/T 8170, half to
    even) and its ceiling never meet a binary fraction. -#}

{% macro air_observations(hourly, station='station_code', observed_at='observed_at', row_id=none) -%}
    {#- Unpivots a relation with a column for each pollutant: one row an hour, station, pollutant.
        With `row_id`, a column of the relation, a row tells which one it came from. -#}
    {%- for pollutant in ['so2', 'no2', 'pm10', 'pm25', 'co', 'o3'] %}
    select
        {{ station }} as station_code,
        cast({{ observed_at }} as timestamp) as observed_at,
        '{{ pollutant }}' as pollutant,
        cast({{ pollutant }} as decimal(12, 4)) as concentration
        {%- if row_id %},
        {{ row_id }}
        {%- endif %}
    from {{ hourly }}
    where {{ pollutant }} is not null
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{% macro air_station_days(observations) -%}
    {#- Daily values of a station from hourly observations (time = start of the hour):
        24-h means need 20 valid hours; O3 is the largest 8-h running mean that ends at 08:00 to
        24:00, a window needs 6 valid hours and a day 14 valid windows, unless the value found is
        above the limit of 160 anyway; o3_1h is the largest hour. Column `value` in ten-thousandths,
        NULL when too few hours are valid. -#}
    with hours as (
        select
            station_code,
            pollutant,
            cast(observed_at as date) as day,
            cast(extract(hour from observed_at) as integer) as hour,
            cast(concentration * 10000 as bigint) as value
        from {{ observations }}
        where concentration is not null
    ),

    means as (
        select
            station_code,
            day,
            pollutant,
            cast(sum(value) as bigint) as total,
            count(*) as valid_hours
        from hours
        where pollutant <> 'o3'
        group by station_code, day, pollutant
    ),

    clock as (
        {%- for hour in range(7, 24) %}
        select {{ hour }} as last_hour{{ ' union all' if not loop.last }}
        {%- endfor %}
    ),

    windows as (
        select
            hours.station_code,
            hours.day,
            clock.last_hour,
            cast(sum(hours.value) as bigint) as total,
            count(*) as valid_hours
        from hours
        inner join clock on hours.hour between clock.last_hour - 7 and clock.last_hour
        where hours.pollutant = 'o3'
        group by hours.station_code, hours.day, clock.last_hour
    ),

    ozone as (
        select
            station_code,
            day,
            count(*) as valid_windows,
            max({{ divide_half_even('total', 'valid_hours') }}) as value
        from windows
        where valid_hours >= 6
        group by station_code, day
    ),

    ozone_hours as (
        select
            station_code,
            day,
            max(value) as value,
            count(*) as valid_hours
        from hours
        where pollutant = 'o3'
        group by station_code, day
    )

    select
        station_code,
        day,
        pollutant,
        case when valid_hours >= 20 then {{ divide_half_even('total', 'valid_hours') }} end as value,
        valid_hours
    from means
    union all
    select
        ozone_hours.station_code,
        ozone_hours.day,
        'o3' as pollutant,
        case when ozone.valid_windows >= 14 or ozone.value > 1600000 then ozone.value end as value,
        ozone_hours.valid_hours
    from ozone_hours
    left join ozone
        on ozone_hours.station_code = ozone.station_code and ozone_hours.day = ozone.day
    union all
    select
        station_code,
        day,
        'o3_1h' as pollutant,
        case when valid_hours >= 20 then value end as value,
        valid_hours
    from ozone_hours
{%- endmacro %}

{% macro air_indices(days, breakpoints, keys) -%}
    {#- IAQI, AQI, level and primary pollutants of daily concentrations (columns `keys`, day,
        pollutant, concentration), by the regulation in force on the day.

        Concentrations are rounded to whole µg/m³ (CO: 0.1 mg/m³) before they enter the formula,
        which three published sources agree on; var aqi_round_first: false keeps four decimals.
        O3 above 800: by the 1-h value under HJ 633-2012, IAQI 300 under HJ 633-2026. No primary
        pollutant up to 50; ties are all listed. HJ 633-2026: with a pollutant missing and AQI up
        to 100 the day has no AQI. -#}
    {%- set key_list = keys | join(', ') -%}
    with daily_values as (
        select
            {{ key_list }},
            day,
            pollutant,
            cast(concentration * 10000 as bigint) as value
        from {{ days }}
    ),

    reported as (
        select
            {{ key_list }},
            day,
            pollutant,
            value,
            {% if var('aqi_round_first', true) -%}
            case
                when pollutant = 'co' then ({{ divide_half_even('value', 1000) }}) * 1000
                else ({{ divide_half_even('value', 10000) }}) * 10000
            end
            {%- else -%}
            value
            {%- endif %} as rounded
        from daily_values
    ),

    ozone_by_hour as (
        select distinct {{ key_list }}, day
        from reported
        where pollutant = 'o3' and rounded > 8000000 and day < date '2026-03-01'
    ),

    relevant as (
        select reported.*
        from reported
        left join ozone_by_hour
            on {% for key in keys %}reported.{{ key }} = ozone_by_hour.{{ key }} and {% endfor -%}
            reported.day = ozone_by_hour.day
        where
            reported.pollutant not in ('o3', 'o3_1h')
            or (reported.pollutant = 'o3' and ozone_by_hour.day is null)
            or (reported.pollutant = 'o3_1h' and ozone_by_hour.day is not null)
    ),

    indexed as (
        select
            {% for key in keys %}relevant.{{ key }}, {% endfor %}
            relevant.day,
            case when relevant.pollutant = 'o3_1h' then 'o3' else relevant.pollutant end as pollutant,
            relevant.value,
            breakpoints.regulation,
            case
                when relevant.rounded is null then null
                when relevant.rounded = 0 then 0
                else breakpoints.iaqi_low + {{ divide_ceil(
                    '(breakpoints.iaqi_high - breakpoints.iaqi_low)'
                    ~ ' * (relevant.rounded - breakpoints.concentration_low * 10000)',
                    '(breakpoints.concentration_high - breakpoints.concentration_low) * 10000'
                ) }}
            end as iaqi
        from relevant
        left join {{ breakpoints }} as breakpoints
            on relevant.pollutant = breakpoints.pollutant
            and relevant.day >= breakpoints.valid_from
            and relevant.day <= breakpoints.valid_to
            and greatest(relevant.rounded, 1) > breakpoints.concentration_low * 10000
            and greatest(relevant.rounded, 1) <= breakpoints.concentration_high * 10000
    ),

    days as (
        select
            {{ key_list }},
            day,
            max(regulation) as regulation,
            max(iaqi) as highest,
            count(iaqi) as pollutants,
            {%- for pollutant in ['so2', 'no2', 'pm10', 'pm25', 'co', 'o3'] %}
            max(case when pollutant = '{{ pollutant }}' then value end) as {{ pollutant }},
            max(case when pollutant = '{{ pollutant }}' then iaqi end) as iaqi_{{ pollutant }}
            {{- ',' if not loop.last }}
            {%- endfor %}
        from indexed
        group by {{ key_list }}, day
    ),

    published as (
        select
            *,
            case
                when day >= date '2026-03-01' and pollutants < 6 and highest <= 100 then null
                else highest
            end as aqi
        from days
    )

    select
        {{ key_list }},
        day,
        regulation,
        {%- for pollutant in ['so2', 'no2', 'pm10', 'pm25', 'co', 'o3'] %}
        {{ from_ten_thousandths(pollutant) }} as {{ pollutant }},
        cast(iaqi_{{ pollutant }} as integer) as iaqi_{{ pollutant }},
        {%- endfor %}
        cast(aqi as integer) as aqi,
        case
            when aqi is null then null
            when aqi <= 50 then 1
            when aqi <= 100 then 2
            when aqi <= 150 then 3
            when aqi <= 200 then 4
            when aqi <= 300 then 5
            else 6
        end as level,
        case
            when aqi > 50 then concat_ws(
                ','
                {%- for pollutant in ['pm25', 'pm10', 'so2', 'no2', 'co', 'o3'] %},
                case when iaqi_{{ pollutant }} = aqi then '{{ pollutant }}' end
                {%- endfor %}
            )
        end as primary_pollutants,
        cast(pollutants as integer) as valid_pollutants
    from published
{%- endmacro %}
