with dim_indicator as (
    {{ indicator_cards() }}
)

select * from dim_indicator
