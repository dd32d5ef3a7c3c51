{{ stage(
    dataset='health.outpatient_visits',
    columns=[
        ('visit_no', 'string'),
        ('citizen_id', 'string'),
        ('patient_name', 'string'),
        ('sex', 'string'),
        ('birth_date', 'date'),
        ('hospital', 'string'),
        ('district', 'string'),
        ('department', 'string'),
        ('visit_type', 'string'),
        ('visited_at', 'timestamp'),
        ('diagnosis', 'string'),
        ('total_fee', 'decimal(12, 2)'),
        ('insurance_fee', 'decimal(12, 2)'),
        ('self_fee', 'decimal(12, 2)'),
    ],
) }}
