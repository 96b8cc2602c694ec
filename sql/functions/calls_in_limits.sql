-- The calls that count as live under limits: those that may be at the carrier, or will be in a moment, and those that
-- were closed without knowing whether a phone rings, until that is known or the carrier must have ended them.
create or replace function calls_in_limits()
returns table (business_id bigint, campaign_id bigint, from_number text, is_unknown boolean)
language sql stable
as $$
    select call_log.business_id, call_log.campaign_id, call_log.from_number, false
      from call_log
     where status in ('claimed', 'initiated', 'ringing', 'in-progress') and direction = 'outbound'
    union all
    select call_log.business_id, call_log.campaign_id, call_log.from_number, true
      from call_log
     where status = 'failed'
       and (error_code = 'no_call_sid' and overdue_at is not null or error_code = 'several_candidates')
       and over_by > now()
       and direction = 'outbound'
$$;
