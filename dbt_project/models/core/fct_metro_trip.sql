with fct_metro_trip as (
    select
        trip_id,
        {{ pseudonym('card_no') }} as card_key,
        card_type,
        line,
        entry_station,
        exit_station,
        district as area_code,
        operating_date,
        cast(extract(hour from entry_at) as integer) as entry_hour,
        case
            when exit_at is not null
                then cast({{ seconds_between('entry_at', 'exit_at') }} as integer)
        end as duration_seconds,
        fare,
        distance as distance_km,
        _row_id
    from {{ ref('stg_transport__metro_trips') }}
)

select * from fct_metro_trip
