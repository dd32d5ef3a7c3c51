{% test one_row_per(model, columns) -%}
    select {{ columns | join(', ') }}, count(*) as rows
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{%- endtest %}

{% test status_explained(model) -%}
    {#- A status must not contradict the value beside it. -#}
    select *
    from {{ model }}
    where
        (value is null) is distinct from (status = 'insufficient_data')
        or (status in ('met', 'at_risk', 'missed', 'not_yet_due') and target is null)
{%- endtest %}

{% test holds(model, condition) -%}
    {#- Every row satisfies a condition; a condition that comes out NULL is a breach, too. -#}
    select *
    from {{ model }}
    where coalesce({{ condition }}, false) is distinct from true
{%- endtest %}
