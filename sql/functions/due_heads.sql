-- The first calls of a lane that may be claimed: due, not paused and not set aside.
create or replace function due_heads(business_id bigint, campaign_id bigint, from_number text, calls_max bigint)
returns setof call_log
language sql stable
as $$
    select call_log.*
      from call_log
     where call_log.business_id = $1
       and coalesce(call_log.campaign_id, 0) = $2
       and call_log.from_number = $3
       and status = 'queued'
       and paused_at is null
       and due_at <= now()
       and not exists (select from call_set_aside where call_id = call_log.id)
     order by due_at, id
     limit calls_max
$$;
