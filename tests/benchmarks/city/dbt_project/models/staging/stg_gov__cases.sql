{{ stage(
    dataset='gov.cases',
    columns=[
        ('case_no', 'string'),
        ('item_code', 'string'),
        ('area_code', 'string'),
        ('accepted_at', 'timestamp'),
        ('finished_at', 'timestamp'),
        ('limit_days', 'bigint'),
        ('fee', 'decimal(18, 2)'),
        ('score', 'bigint'),
        ('channel', 'string'),
        ('state', 'string'),
        ('counter', 'bigint'),
        ('documents', 'bigint'),
    ],
) }}
