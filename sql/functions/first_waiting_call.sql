-- The call that is due first in these lanes, except those of which an operator or the breaker paused a scope.
create or replace function first_waiting_call(lanes lane[])
returns table (id bigint, due_at timestamptz, held_by text, zone text)
language sql stable rows 1
as $$
    with paused as materialized (
        select scope, key from dial_control where scope <> 'account' and state <> 'running'
    )
    select head.*
      from (select unnested.*, campaign_key(unnested.campaign_id, unnested.business_id) as campaign_key
              from unnest(lanes) as unnested) as lane
     cross join lateral (
           select call_log.id, call_log.due_at, call_log.held_by, call_zone(to_number, time_zone, call_log.business_id)
             from call_log
            where call_log.business_id = lane.business_id
              and coalesce(call_log.campaign_id, 0) = lane.campaign_id
              and call_log.from_number = lane.from_number
              and status = 'queued'
              and paused_at is null
            order by call_log.due_at, call_log.id
            limit 1
     ) as head
     where not exists (select
                         from paused
                        where key = case scope
                                        when 'business' then lane.business_id::text
                                        when 'campaign' then lane.campaign_key
                                        else lane.from_number
                                    end)
     order by head.due_at, head.id
     limit 1
$$;
