-- The calls that wait in a lane and are due last, before (last_at, last_id).
create or replace function calls_waiting_in_lane(
    business_id bigint, campaign_id bigint, from_number text, from_at timestamptz, last_at timestamptz, last_id bigint,
    calls_max bigint
) returns setof call_log
language sql stable
as $$
    select call_log.*
      from call_log
     where call_log.business_id = $1
       and coalesce(call_log.campaign_id, 0) = $2
       and call_log.from_number = $3
       and call_log.status = 'queued'
       and call_log.paused_at is null
       and (call_log.due_at, call_log.id) < (last_at, last_id)
       and call_log.due_at >= from_at
     order by call_log.due_at desc, call_log.id desc
     limit calls_max
$$;
