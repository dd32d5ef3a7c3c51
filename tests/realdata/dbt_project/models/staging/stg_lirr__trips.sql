{{ stage(
    dataset='lirr.trips',
    columns=[
        ('trip_id', 'string'),
        ('route_id', 'string'),
        ('service_id', 'string'),
        ('trip_headsign', 'string'),
        ('trip_short_name', 'string'),
        ('direction_id', 'string'),
        ('shape_id', 'string'),
        ('peak_offpeak', 'string'),
    ],
) }}
