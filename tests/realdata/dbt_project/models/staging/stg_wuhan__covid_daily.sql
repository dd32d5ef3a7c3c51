{{ stage(
    dataset='wuhan.covid_daily',
    columns=[
        ('report_date', 'date'),
        ('country', 'string'),
        ('country_code', 'string'),
        ('province', 'string'),
        ('province_code', 'string'),
        ('city', 'string'),
        ('city_code', 'string'),
        ('confirmed', 'bigint'),
        ('suspected', 'bigint'),
        ('cured', 'bigint'),
        ('dead', 'bigint'),
    ],
) }}
