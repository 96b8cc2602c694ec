-- The latest calls of a business that ended with this status, before (last_at, last_id).
create or replace function calls_ended_in_business(
    business_id bigint, status text, from_at timestamptz, last_at timestamptz, last_id bigint, calls_max bigint
) returns setof call_log
language sql stable
as $$
    select call_log.*
      from call_log
     where call_log.business_id = $1
       and call_log.status = $2
       and call_log.status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
       and (coalesce(call_log.ended_at, call_log.created_at), call_log.id) < (last_at, last_id)
       and coalesce(call_log.ended_at, call_log.created_at) >= from_at
     order by coalesce(call_log.ended_at, call_log.created_at) desc, call_log.id desc
     limit calls_max
$$;
