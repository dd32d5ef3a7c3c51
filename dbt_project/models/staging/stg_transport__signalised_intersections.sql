{{ stage(
    dataset='transport.signalised_intersections',
    columns=[
        ('intersection_id', 'string'),
        ('intersection_name', 'string'),
        ('district', 'string'),
        ('control_mode', 'string'),
        ('adaptive', 'boolean'),
        ('status', 'string'),
        ('installed_on', 'date'),
        ('installed_on_precision', 'string'),
        ('renewed_on', 'date'),
        ('renewed_on_precision', 'string'),
        ('approaches', 'bigint'),
        ('longitude', 'double'),
        ('latitude', 'double'),
        ('maintainer', 'string'),
    ],
) }}
