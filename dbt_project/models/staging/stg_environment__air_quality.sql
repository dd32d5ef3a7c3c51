{{ stage(
    dataset='environment.air_quality',
    columns=[
        ('station_code', 'string'),
        ('station_name', 'string'),
        ('district', 'string'),
        ('observed_at', 'timestamp'),
        ('so2', 'decimal(8, 1)'),
        ('no2', 'decimal(8, 1)'),
        ('pm10', 'decimal(8, 1)'),
        ('pm25', 'decimal(8, 1)'),
        ('co', 'decimal(8, 2)'),
        ('o3', 'decimal(8, 1)'),
    ],
) }}
