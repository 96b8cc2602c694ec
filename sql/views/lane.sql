-- The lanes in which calls wait, each found by one step through the index, however many calls wait in it.
create or replace view lane as
with recursive lane as (
    (select business_id, coalesce(campaign_id, 0) as campaign_id, from_number
       from call_log
      where status = 'queued' and paused_at is null
      order by business_id, coalesce(campaign_id, 0), from_number
      limit 1)
    union all
    select next.business_id, next.campaign_id, next.from_number
      from lane
     cross join lateral (
           select call_log.business_id, coalesce(call_log.campaign_id, 0) as campaign_id, call_log.from_number
             from call_log
            where call_log.status = 'queued'
              and call_log.paused_at is null
              and (call_log.business_id, coalesce(call_log.campaign_id, 0), call_log.from_number)
                  > (lane.business_id, lane.campaign_id, lane.from_number)
            order by call_log.business_id, coalesce(call_log.campaign_id, 0), call_log.from_number
            limit 1
     ) as next
)
select business_id, campaign_id, from_number from lane;
