-- Only functions and a view: nothing is lost.
-- The calls that wait, by business, campaign and state: due, and dialed as room allows; withheld though they are due
-- (paused, campaign_not_started, spend_cap); not_due; call_paused, each by itself.  Lane by lane, from the index alone.
create or replace view queue_load as
with stopped as (
    select dial_control.scope, dial_control.key,
           case when dial_control.state <> 'running' then 'paused' else 'spend_cap' end as reason
      from dial_control
      left join cap_room as cap on cap.scope = dial_control.scope and cap.key = dial_control.key
     where dial_control.state <> 'running' or cap.code is not null
), lane_load as (
    select business_id, coalesce(campaign_id, 0) as campaign_id, from_number, count(*) as queued,
           count(*) filter (where due_at <= now()) as due, min(due_at) as oldest_due_at,
           min(due_at) filter (where due_at > now()) as next_due_at
      from call_log
     where status = 'queued' and paused_at is null
     group by business_id, coalesce(campaign_id, 0), from_number
), lane_wait as (
    select lane_load.*,
           case
               when everything.reason = 'paused' or by_business.reason = 'paused' or by_campaign.reason = 'paused'
                 or by_number.reason = 'paused'
                   then 'paused'
               when campaign.starts_at > now() then 'campaign_not_started'
               when coalesce(everything.reason, by_business.reason, by_campaign.reason) is not null then 'spend_cap'
               else 'due'
           end as state
      from lane_load
      left join campaign on campaign.id = lane_load.campaign_id
      left join stopped as everything on everything.scope = 'account'
      left join stopped as by_business
        on by_business.scope = 'business' and by_business.key = lane_load.business_id::text
      left join stopped as by_campaign
        on by_campaign.scope = 'campaign'
       and by_campaign.key = coalesce(nullif(lane_load.campaign_id, 0)::text, 'of business ' || lane_load.business_id)
      left join stopped as by_number on by_number.scope = 'number' and by_number.key = lane_load.from_number
)
select lane_wait.business_id, nullif(lane_wait.campaign_id, 0) as campaign_id, part.state,
       sum(part.calls)::bigint as calls, min(part.due_at) as first_due_at
  from lane_wait
 cross join lateral (
       values (lane_wait.state, due, oldest_due_at), ('not_due', queued - due, next_due_at)
 ) as part (state, calls, due_at)
 where part.calls > 0
 group by lane_wait.business_id, nullif(lane_wait.campaign_id, 0), part.state
union all
select business_id, campaign_id, 'call_paused', count(*), min(due_at)
  from call_log
 where status = 'queued' and paused_at is not null
 group by business_id, campaign_id;

-- What limits and stops a call that waits, the widest first: its scopes, as an operator calls them, with what is left of
-- their limits (dial_scope).  `is_elsewhere` where the account is not the one with which its business calls.
create or replace function scopes_of_call(call_id bigint, account_rate float8)
returns table (
    place integer, scope text, key text, called text, zone text, state text, state_reason text, state_since timestamptz,
    troubles integer, carrier_holds integer, carrier_hold_until timestamptz, is_slowed boolean, hold_until timestamptz,
    rate float8, tokens float8, live_max integer, live bigint, unknown bigint, room bigint, spend_code text,
    spend_until timestamptz, is_elsewhere boolean
)
language sql stable
as $$
    select own.*, call_zone(waiting.to_number, waiting.time_zone, waiting.business_id), control.state, control.state_reason,
           control.state_since, control.troubles, control.carrier_holds, control.carrier_hold_until,
           coalesce(control.slowed_at > now() - interval '60 s', false),
           -- A hold of the carrier's for everything is about the calls that have no account of their own.
           case when is_elsewhere then control.hold_until else room.hold_until end, room.rate,
           room.tokens, room.live_max, room.live, room.unknown,
           case when is_elsewhere then room.calm_room else room.room end, room.spend_code, room.spend_until,
           is_elsewhere
      from call_log as waiting
     inner join business on business.id = waiting.business_id
     cross join lateral (
           values (1, 'account', '', 'everything'),
                  (2, 'business', waiting.business_id::text, 'business ' || waiting.business_id),
                  (3, 'campaign', waiting.campaign_id::text, 'campaign ' || waiting.campaign_id),
                  (4, 'number', waiting.from_number, 'number ' || waiting.from_number)
     ) as own (place, scope, key, called)
     inner join dial_control as control on control.scope = own.scope and control.key = own.key
     inner join dial_scope(account_rate) as room on room.scope = own.scope and room.key = own.key
     cross join lateral (select own.scope = 'account' and business.carrier_account is not null as is_elsewhere) as account
     where waiting.id = $1 and waiting.status = 'queued'
$$;

-- Each scope that has a row of control: how much of its limits is left at this moment.
-- Live is what may be at the carrier, or will be in a moment; `unknown` of these were closed without knowing whether a
-- phone rings, and count until that is known or the carrier must have ended them.  A scope without a row has no limit.
-- After a hold of the carrier one call at a time is tried, until it takes one.  A hold of `account` is about the calls of
-- TWILIO_ACCOUNT_SID, and `calm_room` is what is left for the others; that of a business with an account of its own is
-- about that business.  With only_capped, as the claim asks, live calls are not counted where no scope has a live_max:
-- to count them costs more than the rest of a cycle.  `spend_code` is the cap that leaves no room, until `spend_until` at
-- the latest (spend_room).
create or replace function dial_scope(account_rate float8, only_capped boolean default false)
returns table (
    scope text, key text, weight float8, state text, state_reason text, hold_until timestamptz, rate float8,
    tokens float8, live_max integer, live bigint, unknown bigint, room bigint, served float8,
    served_floor float8, spend_code text, spend_until timestamptz, calm_room bigint
)
language sql stable
as $$
    with control as materialized (
        select * from dial_control  -- once: while somebody holds a snapshot, every version of every row is passed by
    ), live_call as (
        select business_id, campaign_id, from_number, false as is_unknown
          from call_log
         where status in ('claimed', 'initiated', 'ringing', 'in-progress') and direction = 'outbound'
        union all
        select business_id, campaign_id, from_number, true
          from call_log
         where status = 'failed'
           and (error_code = 'no_call_sid' and overdue_at is not null or error_code = 'several_candidates')
           and over_by > now()
           and direction = 'outbound'
    ), live as (
        select business_id, campaign_id, from_number, count(*) as calls, count(*) filter (where is_unknown) as unknown,
               grouping(business_id) as no_business, grouping(campaign_id) as no_campaign,
               grouping(from_number) as no_number
          from live_call
         where not only_capped or exists (select from control where live_max is not null)
         group by grouping sets ((), (business_id), (campaign_id), (from_number))
    ), live_by_scope as (
        select case
                   when no_business = 0 then 'business' when no_campaign = 0 then 'campaign'
                   when no_number = 0 then 'number' else 'account'
               end as scope,
               coalesce(case
                   when no_business = 0 then business_id::text when no_campaign = 0 then campaign_id::text
                   when no_number = 0 then from_number
               end, '') as key,
               calls, unknown
          from live
    ), being_tried as (
        -- The claim of a call whose nudge was lost is silent after five seconds, and a call whose worker died after
        -- twenty: then the next one is tried.  Calls begun before the hold are what the trouble was.
        select control.scope, control.key, (
                   select count(*)
                     from call_log
                    inner join business on business.id = call_log.business_id
                    where status in ('claimed', 'initiated') and direction = 'outbound' and call_sid is null
                      and case control.scope
                              when 'account' then business.carrier_account is null
                              else call_log.business_id = control.key::bigint
                          end
                      and case status
                              when 'claimed' then call_log.updated_at >= now() - interval '5 s'
                              else dialed_at >= greatest(carrier_hold_until, now() - interval '20 s')
                          end
               ) as calls
          from control
         where carrier_holds > 0 and control.scope in ('account', 'business')
    ), paced as (
        select control.*,
               pace_now(coalesce(calls_per_second, case when scope = 'account' or is_own then account_rate end),
                        slow_factor, slowed_at, slowed_from) as rate
          from control
         cross join lateral (
               -- The carrier grants each account a rate of its own.
               select case
                          when scope = 'business' and account_rate is not null
                              then (select carrier_account is not null
                                      from business
                                     where business.id = control.key::bigint)
                      end as is_own
         ) as account
    )
    select paced.scope, paced.key, weight, state, state_reason, held.until, rate, filled.tokens, live_max,
           coalesce(live_by_scope.calls, 0), coalesce(live_by_scope.unknown, 0),
           case
               when held.until > now() then 0 else greatest(0, least(calm.room, 1 - being_tried.calls))
           end::bigint,
           served, served_floor, spend.code, spend.until, calm.room::bigint
      from paced
      left join being_tried on being_tried.scope = paced.scope and being_tried.key = paced.key
      left join live_by_scope on live_by_scope.scope = paced.scope and live_by_scope.key = paced.key
      left join spend_room() as spend on spend.scope = paced.scope and spend.key = paced.key
     cross join lateral (select pace_tokens(rate, paced.tokens, refilled_at) as tokens) as filled
     cross join lateral (select greatest(paced.hold_until, carrier_hold_until) as until) as held
     cross join lateral (
           select case
                      when state <> 'running' or paced.hold_until > now() then 0
                      else greatest(0, least(coalesce(live_max, 1000000000) - coalesce(live_by_scope.calls, 0),
                                             floor(filled.tokens),
                                             spend.room))
                  end as room
     ) as calm
$$;

-- squawk-ignore ban-drop-function
drop function if exists room_of_scopes(text[], text[], float8, boolean);
-- squawk-ignore ban-drop-function
drop function if exists chosen_scopes(text[], text[]);
-- squawk-ignore ban-drop-function
drop function if exists ruled_scopes();
-- squawk-ignore ban-drop-function
drop function if exists calls_in_limits();
