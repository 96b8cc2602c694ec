-- The lanes of one business (lane), each found by one step through the index: those of others are not looked at.
create or replace function lanes_of_business(in_business bigint)
returns table (business_id bigint, campaign_id bigint, from_number text)
language sql stable
as $$
    with recursive own as (
        (select coalesce(call_log.campaign_id, 0) as campaign_id, call_log.from_number
           from call_log
          where call_log.business_id = in_business and call_log.status = 'queued' and call_log.paused_at is null
          order by coalesce(call_log.campaign_id, 0), call_log.from_number
          limit 1)
        union all
        select next.campaign_id, next.from_number
          from own
         cross join lateral (
               select coalesce(call_log.campaign_id, 0) as campaign_id, call_log.from_number
                 from call_log
                where call_log.business_id = in_business
                  and call_log.status = 'queued'
                  and call_log.paused_at is null
                  and (coalesce(call_log.campaign_id, 0), call_log.from_number) > (own.campaign_id, own.from_number)
                order by coalesce(call_log.campaign_id, 0), call_log.from_number
                limit 1
         ) as next
    )
    select in_business, own.campaign_id, own.from_number from own
$$;
