{{ stage(
    dataset='lirr.stops',
    columns=[
        ('stop_id', 'string'),
        ('stop_code', 'string'),
        ('stop_name', 'string'),
        ('stop_lat', 'double'),
        ('stop_lon', 'double'),
        ('stop_url', 'string'),
        ('wheelchair_boarding', 'string'),
    ],
) }}
