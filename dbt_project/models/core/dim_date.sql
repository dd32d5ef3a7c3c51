-- The range covers what contracts can hold; a case accepted before it has no handling time and the
-- relationship test tells.
with days as (
    {{ days_between('2010-01-01', '2035-12-31') }}
),

calendar as (
    select
        days.day,
        cast(extract(year from days.day) as integer) as year,
        cast(extract(quarter from days.day) as integer) as quarter,
        cast(extract(month from days.day) as integer) as month,
        -- ISO weekday from a Monday, without the engines' different numberings of weekdays
        cast(
            cast({{ seconds_between("date '2001-01-01'", 'days.day') }} / 86400 as integer) % 7 + 1
            as integer
        ) as weekday,
        exceptions.is_workday as exception,
        exceptions.name as exception_name
    from days
    left join {{ ref('calendar_exceptions') }} as exceptions
        on days.day = exceptions.day
),

judged as (
    select
        day,
        year,
        quarter,
        month,
        weekday,
        coalesce(exception, weekday <= 5) as is_workday,
        exception_name
    from calendar
),

dim_date as (
    select
        *,
        cast(
            sum(case when is_workday then 1 else 0 end)
                over (order by day nulls last rows between unbounded preceding and current row)
            as integer
        ) as workday_number
    from judged
)

select
    day,
    year,
    quarter,
    month,
    weekday,
    is_workday,
    exception_name,
    workday_number
from dim_date
