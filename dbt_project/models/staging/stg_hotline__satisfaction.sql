{{ stage(
    dataset='hotline.satisfaction',
    columns=[
        ('survey_no', 'string'),
        ('ticket_no', 'string'),
        ('surveyed_at', 'timestamp'),
        ('method', 'string'),
        ('district', 'string'),
        ('reached', 'boolean'),
        ('score', 'bigint'),
        ('satisfied', 'boolean'),
        ('resolved', 'boolean'),
        ('remark', 'string'),
    ],
) }}
