-- The live outbound call of a business to this telephone: one at most, by call_log_one_live_keyed.
create or replace function live_call(business_id bigint, to_number text) returns setof call_log
language sql stable rows 1
as $$
    select call_log.*
      from call_log
     where call_log.business_id = $1
       and phone_key(call_log.to_number) = phone_key($2)
       and call_log.direction = 'outbound'
       and call_log.status in ('queued', 'claimed', 'initiated', 'ringing', 'in-progress')
$$;
