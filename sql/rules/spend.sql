-- spend.sql: what calls that have ended cost, and which countries are called.  Read by outbound/rules/spend.py alone.

-- name: settle_ended_calls(batch_max)$
-- Move what ended calls cost from the reserved to the spent: one call, and its minutes, each begun one as a whole.
--
-- A call whose outcome is unknown keeps its reservation until the carrier must have ended it, and then costs all of it.
-- One that came back unsent costs nothing.  Nobody begins it again while it is looked at: the reservation is an old one.
--
-- Returns  how many calls
-- Races    other schedulers: a row that somebody holds is skipped
with ended as materialized (
    select spend_reserved.call_id, spend_reserved.business_id, spend_reserved.campaign_id, spend_reserved.dialed_at,
           case when call_log.dialed_at is not null or call_log.id is null then 1 else 0 end as calls,
           case when call_log.answered_at is not null then 1 else 0 end as answered,
           case
               when call_log.id is null or call_awaits_truth(call_log.status, call_log.error_code)
                   then spend_reserved.seconds
               when call_log.dialed_at is null then 0
               -- The carrier hangs up at the limit that was reserved, whatever it says of its duration.
               else least(60 * ceil(spend_reserved.seconds / 60.0), 60 * ceil(greatest(0, coalesce(
                   call_log.duration_s,
                   case
                       when isfinite(call_log.answered_at) and isfinite(call_log.ended_at)
                           then extract(epoch from call_log.ended_at - call_log.answered_at)
                   end,
                   0)) / 60.0))
           end as seconds
      from spend_reserved
      left join call_log on call_log.id = spend_reserved.call_id
     where case
               when call_log.id is null then true
               when call_status_rank(call_log.status) < 2
                   then spend_reserved.dialed_at < now() - interval '1 min'
               when call_status_rank(call_log.status) < 5 then false
               else not coalesce(call_awaits_truth(call_log.status, call_log.error_code)
                                 and call_log.over_by > now(), false)
           end
     order by spend_reserved.call_id
     limit :batch_max
       for update of spend_reserved skip locked
), settled as (
    delete from spend_reserved using ended where spend_reserved.call_id = ended.call_id returning spend_reserved.call_id
), spent as (
    insert into spend (scope, key, period, began_at, calls, seconds, answered)
    select scope.scope, scope.key, period.name,
           period_start(period.name, ended.dialed_at, case when scope.scope = 'account' then 'UTC' else zone.name end),
           sum(ended.calls), sum(ended.seconds), sum(ended.answered)
      from ended
      left join business on business.id = ended.business_id
     cross join lateral (select coalesce(business.time_zone, 'UTC') as name) as zone
     cross join lateral (
           values ('account', ''), ('business', ended.business_id::text), ('campaign', ended.campaign_id::text)
     ) as scope (scope, key)
     cross join (values ('hour'), ('day')) as period (name)
     where scope.key is not null and ended.calls > 0
     group by 1, 2, 3, 4
     order by 1, 2, 3, 4
    on conflict (scope, key, period, began_at) do update
       set calls = spend.calls + excluded.calls, seconds = spend.seconds + excluded.seconds,
           answered = spend.answered + excluded.answered
)
select count(*) from settled;

-- name: note_countries()$
-- Keep which countries each business has called, its own aside: one that it never called before is counted (metrics.sql).
--
-- Returns  how many are new
with called as (
    select distinct call_log.business_id, coalesce(place.region, '') as region
      from spend_reserved
     inner join call_log on call_log.id = spend_reserved.call_id
     cross join number_place(call_log.to_number) as place
     inner join business on business.id = call_log.business_id
     where place.kind <> 'test' and place.region is distinct from business_country(business.id, business.default_region)
), noted as (
    insert into country_called (business_id, region)
    select business_id, region from called order by business_id, region
    on conflict do nothing
    returning region
)
select count(*) from noted;

-- name: forget_old_spend()!
-- What no cap and no average looks back to.
delete from spend
 where period = 'hour' and began_at < now() - interval '2 days'
    or period = 'day' and began_at < now() - interval '40 days';
