{{ stage(
    dataset='education.schools',
    columns=[
        ('school_code', 'string'),
        ('school_name', 'string'),
        ('district', 'string'),
        ('school_type', 'string'),
        ('ownership', 'string'),
        ('founded', 'date'),
        ('founded_precision', 'string'),
        ('classes', 'bigint'),
        ('students', 'bigint'),
        ('teachers', 'bigint'),
        ('address', 'string'),
        ('office_phone', 'string'),
    ],
) }}
