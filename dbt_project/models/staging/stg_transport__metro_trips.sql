{{ stage(
    dataset='transport.metro_trips',
    columns=[
        ('trip_id', 'string'),
        ('card_no', 'string'),
        ('card_type', 'string'),
        ('line', 'string'),
        ('entry_station', 'string'),
        ('entry_at', 'timestamp'),
        ('exit_station', 'string'),
        ('exit_at', 'timestamp'),
        ('district', 'string'),
        ('fare', 'decimal(8, 2)'),
        ('distance', 'decimal(8, 3)'),
        ('operating_date', 'date'),
    ],
) }}
