{{ stage(
    dataset='hotline.tickets',
    columns=[
        ('ticket_no', 'string'),
        ('created_at', 'timestamp'),
        ('category', 'string'),
        ('summary', 'string'),
        ('district', 'string'),
        ('phone', 'string'),
        ('sex', 'string'),
        ('responsible_department', 'string'),
        ('urgency', 'string'),
        ('reply_deadline', 'timestamp'),
        ('replied_at', 'timestamp'),
        ('transfers', 'bigint'),
    ],
) }}
