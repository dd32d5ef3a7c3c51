{{ stage(
    dataset='market.enterprises',
    columns=[
        ('uscc', 'string'),
        ('enterprise_name', 'string'),
        ('enterprise_type', 'string'),
        ('legal_representative', 'string'),
        ('registered_capital', 'decimal(18, 2)'),
        ('industry_code', 'string'),
        ('district', 'string'),
        ('established_on', 'date'),
        ('approved_on', 'date'),
        ('status', 'string'),
        ('employees', 'bigint'),
        ('address', 'string'),
    ],
) }}
