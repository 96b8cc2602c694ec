-- The latest calls of a business that ended with this status and error, before (last_at, last_id).
create or replace function calls_ended_with_error(
    in_business bigint, with_error text, with_status text, from_at timestamptz, last_at timestamptz, last_id bigint,
    calls_max bigint
) returns setof call_log
language sql stable
as $$
    select call_log.*
      from call_log
     where call_log.business_id = in_business
       and call_log.error_code = with_error
       and call_log.status = with_status
       and (coalesce(call_log.ended_at, call_log.created_at), call_log.id) < (last_at, last_id)
       and coalesce(call_log.ended_at, call_log.created_at) >= from_at
     order by coalesce(call_log.ended_at, call_log.created_at) desc, call_log.id desc
     limit calls_max
$$;
