with aud_accounting_identity as (
    {{ accounting_identity(staged_counts([ref('stg_gov__cases')])) }}
)

select * from aud_accounting_identity
