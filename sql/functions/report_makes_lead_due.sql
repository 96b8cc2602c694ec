-- Is the lead of a call due after a report?  `call` is as it was before, `status` what it is now.  Once: a call that ends
-- after it was answered had its nudge then.
create or replace function report_makes_lead_due(call call_log, status text, is_news boolean) returns boolean
language sql immutable
as $$
    select $1.lead_id is null and $2 not in ('initiated', 'ringing') and not ($3 and $1.status = 'in-progress')
$$;
