-- What each spend cap allows in this hour and on this day, and what is used of it.  A call counts in the hour and on
-- the day in which its dial began; until its cost is known, with all the time that it may take, and so does a claim.
create or replace view cap_usage as
with cap as materialized (
    select spend_cap.*, business.id as of_business, campaign.id as of_campaign,
           coalesce(business.time_zone, 'UTC') as zone,
           case
               when coalesce(minutes_per_hour, minutes_per_day) is not null
                   then call_limit_s(case spend_cap.scope
                                         when 'campaign' then campaign.time_limit_s
                                         else (select greatest(call_limit_s(null), max(other.time_limit_s))
                                                 from campaign as other
                                                where (spend_cap.scope = 'account'
                                                       or other.business_id = business.id)
                                                  and coalesce(other.ends_at > now(), true))
                                     end)
           end as call_s
      from spend_cap
      left join campaign on campaign.id = case when spend_cap.scope = 'campaign' then spend_cap.key::bigint end
      left join business
        on business.id = coalesce(campaign.business_id,
                                  case when spend_cap.scope = 'business' then spend_cap.key::bigint end)
), period as materialized (
    select cap.scope, cap.key, cap.of_business, cap.of_campaign, cap.call_s, period.name,
           began.at as began_at,
           case period.name
               when 'hour' then began.at + interval '1 hour'
               else period_start('day', began.at + interval '26 hours', cap.zone)
           end as until,
           period.calls_max, period.minutes_max
      from cap
     cross join lateral (
           values ('hour', calls_per_hour, minutes_per_hour), ('day', calls_per_day, minutes_per_day)
     ) as period (name, calls_max, minutes_max)
     cross join lateral (select period_start(period.name, now(), cap.zone) as at) as began
     where coalesce(calls_max, minutes_max) is not null
), pending as materialized (
    -- Together for each business and campaign, and moment: few rows, whatever the number of caps.
    select business_id, campaign_id, dialed_at, count(*) as calls, sum(seconds) as seconds
      from spend_reserved
     where exists (select from period)
     group by business_id, campaign_id, dialed_at
    union all
    select call_log.business_id, call_log.campaign_id, null::timestamptz as dialed_at, count(*) as calls,
           sum(call_limit_s(campaign.time_limit_s)) as seconds
      from call_log
      left join campaign on campaign.id = call_log.campaign_id
     where call_log.status = 'claimed' and exists (select from period)
     group by call_log.business_id, call_log.campaign_id
), counting as (
    select period.scope, period.key, period.name, pending.calls, pending.seconds
      from period
     inner join pending on period.scope = 'account' and coalesce(pending.dialed_at >= period.began_at, true)
    union all
    select period.scope, period.key, period.name, pending.calls, pending.seconds
      from period
     inner join pending
        on pending.business_id = period.of_business and coalesce(pending.dialed_at >= period.began_at, true)
     where period.scope = 'business'
    union all
    select period.scope, period.key, period.name, pending.calls, pending.seconds
      from period
     inner join pending
        on pending.campaign_id = period.of_campaign and coalesce(pending.dialed_at >= period.began_at, true)
), waiting as (
    select counting.scope, counting.key, counting.name, sum(calls) as calls, sum(seconds) as seconds
      from counting
     group by counting.scope, counting.key, counting.name
)
select period.scope, period.key, period.name as period, period.until, period.calls_max, period.minutes_max,
       period.call_s,
       coalesce(spend.calls, 0) + coalesce(waiting.calls, 0) as calls,
       coalesce(spend.seconds, 0) + coalesce(waiting.seconds, 0) as seconds
  from period
  left join waiting
    on waiting.scope = period.scope and waiting.key = period.key and waiting.name = period.name
  left join lateral (
       select spend.calls, spend.seconds
         from spend
        where spend.scope = period.scope
          and spend.key = period.key
          and spend.period = period.name
          and spend.began_at = period.began_at
        limit 1  -- one look by the key for each, whatever the planner takes the table's size for
  ) as spend on true;
