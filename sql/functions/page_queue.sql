-- What waits, of a business or (null) of all: due, due and stopped, due later; of each at most counted_max
-- calls are counted.
create or replace function page_queue(in_business bigint, counted_max integer)
returns table (due bigint, first_due_at timestamptz, stopped bigint, later bigint, next_at timestamptz)
language sql stable
as $$
    with own_lane as materialized (
        select lane.*, lane_is_stopped(lane.business_id, lane.campaign_id, lane.from_number) as is_stopped
          from lane
         where in_business is null or lane.business_id = in_business
    ), past as materialized (
        select own_lane.is_stopped, waiting.due_at
          from own_lane
         cross join lateral (
               select call_log.due_at
                 from call_log
                where call_log.business_id = own_lane.business_id
                  and coalesce(call_log.campaign_id, 0) = own_lane.campaign_id
                  and call_log.from_number = own_lane.from_number
                  and call_log.status = 'queued'
                  and call_log.paused_at is null
                  and call_log.due_at <= now()
                order by call_log.due_at
                limit counted_max
         ) as waiting
         limit counted_max
    ), future as materialized (
        select waiting.due_at
          from own_lane
         cross join lateral (
               select call_log.due_at
                 from call_log
                where call_log.business_id = own_lane.business_id
                  and coalesce(call_log.campaign_id, 0) = own_lane.campaign_id
                  and call_log.from_number = own_lane.from_number
                  and call_log.status = 'queued'
                  and call_log.paused_at is null
                  and call_log.due_at > now()
                order by call_log.due_at
                limit counted_max
         ) as waiting
         limit counted_max
    )
    select (select count(*) from past where not is_stopped),
           (select min(due_at) from past where not is_stopped),
           (select count(*) from past where is_stopped),
           (select count(*) from future),
           (select min(due_at) from future)
$$;
