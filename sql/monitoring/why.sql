-- why.sql: why a call is not being dialed, and what a campaign will do.  Read by outbound/monitoring/why.py alone.

-- name: why_not_dialed(call_id, claim_s, ring_s, worker_silent_s, claims_per_thread, account_rate, scheduler_silent_s)^
-- What stops all dialing comes before the call's own reasons, once it waits to be dialed.
--
-- Returns  one row, also for a call that does not exist: `unknown_call`
with own as (
    select code, sentence, until, details
      from why_not_dialed(:call_id, :claim_s, :ring_s, :worker_silent_s, :claims_per_thread, :account_rate,
                          :scheduler_silent_s)
), stop as (
    select 'stopped_' || cause as code, reason || ' Nothing is dialed since ' || moment_text(since) || '.' as sentence,
           null::timestamptz as until, jsonb_build_object('since', since) as details
      from dialing_stop
     where (select code from own) not in ('unknown_call', 'ended', 'in_the_air', 'claimed')
     order by cause desc
     limit 1
)
select * from stop
union all
select * from own where not exists (select from stop);

-- name: allow_minutes()!
-- For the rest of this transaction, which reads a whole campaign: a million calls take longer than a statement may, and
-- to compile what is done with each costs more than it saves.
select set_config('statement_timeout', '5min', true) as timeout, set_config('jit', 'off', true) as jit;

-- name: find_campaign(campaign_id)^
-- Returns  what a campaign is, when it starts where that is to come, by which zone's clocks its moments are shown, and what
--          its business's account of the carrier lacks; or nothing
select campaign.id, campaign.name, case when starts_at > now() then moment_text(starts_at, time_zone) end as starts,
       business.time_zone,
       coalesce(campaign.voice_url, campaign.twiml, business.voice_url, business.twiml) is not null as can_speak,
       account_sentence(carrier_account) as account_fault
  from campaign
 inner join business on business.id = campaign.business_id
 where campaign.id = :campaign_id;

-- name: preview_calls(campaign_id, claim_s, ring_s)
-- What the claim would do with each queued call of a campaign if it came to all of them now; each different set of
-- hours and zones is looked at once.
--
-- Returns  (code, is_final, calls, until, sentence): a code is NULL where nothing is in the way, final where the call
--          is refused; until when the first of them is held
with own as materialized (
    select id, business_id, call_windows(business_id, id) as window_ids from campaign where id = :campaign_id
), queued as materialized (
    -- Calls to numbers that begin alike are in the same place; where there are no hours, place does not matter.
    select own.window_ids, left(call_log.to_number, known.characters) as first_digits, call_log.time_zone,
           array_agg(call_log.id) as ids
      from own
     cross join lateral (
           select case when window_ids <> '{}' then 1 + max(length(prefix)) else 0 end as characters from phone_zone
     ) as known
     inner join call_log on call_log.business_id = own.business_id and coalesce(campaign_id, 0) = own.id
     where status = 'queued'
     group by own.window_ids, first_digits, call_log.time_zone
), place as materialized (
    select window_ids, ids, case when window_ids <> '{}' then callee_zones(first_digits, time_zone) end as zones
      from queued
), opening as materialized (
    select zones, next_opening(window_ids, zones, now(), :claim_s::float8 + :ring_s::float8) as opens_at
      from (select distinct window_ids, zones from place where zones is not null) as asked
), judged as (
    select case
               when obstacle.is_final then obstacle.code
               when paused_at is not null then 'paused'
               when due_at > now() then coalesce(held_by, 'not_due')
               else obstacle.code
           end as code,
           coalesce(obstacle.is_final, false) as is_final,
           case
               when obstacle.is_final or paused_at is not null then null
               when due_at > now() then due_at
               else obstacle.until
           end as until
      from place
      left join opening on opening.zones = place.zones
     cross join lateral unnest(ids) as call (id)
     inner join call_log on call_log.id = call.id
      left join lateral call_obstacle(call_log, window_ids, coalesce(place.zones, '{}'), opens_at) as obstacle on true
)
select code, is_final, count(*) as calls, min(until) as until,
       coalesce(obstacle_sentence(code),
                case code when 'paused' then 'An operator paused it.' when 'not_due' then 'It is not due yet.' end,
                code) as sentence
  from judged
 group by code, is_final
 order by code nulls first;

-- name: preview_limits(campaign_id, account_rate)
-- Returns  per scope that this campaign's calls go through, its numbers together: calls per second, live calls at once,
--          calls per hour and day (NULL: no limit), is it paused, and why; and a sentence where a cap leaves no room
with own as (
    select campaign.id, business_id, carrier_account is not null as has_account
      from campaign
     inner join business on business.id = business_id
     where campaign.id = :campaign_id
), own_number as (
    select phone from campaign_number inner join own on campaign_id = own.id
    union
    select from_number from lane inner join own on campaign_id = own.id and lane.business_id = own.business_id
), scope (place, called, scope, key, of_account) as (
    select 1, 'everything', 'account', '', true from own
    union all
    select 2, 'business ' || business_id, 'business', business_id::text, has_account from own
    union all
    select 3, 'campaign ' || id, 'campaign', id::text, false from own
    union all
    select 4, 'its numbers', 'number', phone, false from own_number
)
select place, called,
       case when count(rate) = count(*) then sum(rate) end as calls_per_second,
       case when count(live_max) = count(*) then sum(live_max) end::bigint as live_max,
       bool_and(coalesce(state = 'paused', false)) as is_paused,
       min(state_reason) as state_reason,
       case when count(calls_per_hour) = count(*) then sum(calls_per_hour) end as calls_per_hour,
       case when count(calls_per_day) = count(*) then sum(calls_per_day) end as calls_per_day,
       min(capped) as capped
  from (select scope.place, scope.called, live_max, state, state_reason, calls_per_hour, calls_per_day,
               coalesce(calls_per_second, case when scope.of_account then :account_rate::float8 end) as rate,
               case
                   when spend.code is not null
                       then spend_sentence(initcap(left(scope.called, 1)) || substr(scope.called, 2), scope.scope,
                                           scope.key, spend.code, spend.until)
               end as capped
          from scope
          left join dial_control on dial_control.scope = scope.scope and dial_control.key = scope.key
          left join spend_cap on spend_cap.scope = scope.scope and spend_cap.key = scope.key
          left join spend_room() as spend on spend.scope = scope.scope and spend.key = scope.key) as limited
 group by place, called
 order by place;

-- name: mean_call_s(campaign_id)$
-- Returns  how long a call of this campaign, or else of its business, takes from its dial to its end, seconds, over the
--          latest thousand; or nothing
with own as (
    select id, business_id from campaign where id = :campaign_id
), latest as (
    select call_log.* from call_log order by id desc limit 500000
), ended as (
    select latest.campaign_id = own.id as is_own, extract(epoch from ended_at - dialed_at) as call_s
      from own
     inner join latest on latest.business_id = own.business_id
     where latest.direction = 'outbound' and call_sid is not null and ended_at > dialed_at
     limit 1000
)
select coalesce(avg(call_s) filter (where is_own), avg(call_s))::float8 from ended;
