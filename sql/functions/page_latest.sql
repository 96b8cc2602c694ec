-- The latest calls of a business or (null) of all: those at the carrier, the last begun first, then those that ended.
create or replace function page_latest(in_business bigint, rows_max integer)
returns table (
    id bigint, to_number text, from_number text, status text, error_code text, attempt integer, at timestamptz,
    is_live boolean
)
language sql stable
as $$
    (select call_log.id, call_log.to_number, call_log.from_number, call_log.status, call_log.error_code,
            call_log.attempt, coalesce(call_log.answered_at, call_log.dialed_at, call_log.created_at), true
       from call_log
      where call_log.status in ('initiated', 'ringing', 'in-progress')
        and call_log.direction = 'outbound'
        and (in_business is null or call_log.business_id = in_business)
      order by call_log.dialed_at desc nulls last, call_log.id desc
      limit rows_max)
    union all
    (select call_log.id, call_log.to_number, call_log.from_number, call_log.status, call_log.error_code,
            call_log.attempt, call_log.ended_at, false
       from call_log
      where call_log.ended_at is not null
        and call_log.ended_at > now() - interval '1 hour'
        and (in_business is null or call_log.business_id = in_business)
      order by call_log.ended_at desc
      limit rows_max)
    limit rows_max
$$;
