{{ stage(
    dataset='lirr.stop_times',
    columns=[
        ('trip_id', 'string'),
        ('arrival_time', 'bigint'),
        ('departure_time', 'bigint'),
        ('stop_id', 'string'),
        ('stop_sequence', 'bigint'),
        ('pickup_type', 'string'),
        ('drop_off_type', 'string'),
    ],
) }}
