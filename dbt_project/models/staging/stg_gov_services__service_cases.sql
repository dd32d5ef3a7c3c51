{{ stage(
    dataset='gov_services.service_cases',
    columns=[
        ('case_no', 'string'),
        ('item_code', 'string'),
        ('item_name', 'string'),
        ('applicant_type', 'string'),
        ('phone', 'string'),
        ('department', 'string'),
        ('district', 'string'),
        ('channel', 'string'),
        ('accepted_at', 'timestamp'),
        ('finished_at', 'timestamp'),
        ('statutory_limit_days', 'bigint'),
        ('promised_limit_days', 'bigint'),
        ('status', 'string'),
        ('satisfaction', 'bigint'),
    ],
) }}
