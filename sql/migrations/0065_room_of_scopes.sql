-- A look at limits costs what the scopes cost that it asks for: a claim asks for those of the lanes in which calls wait.
-- depends: 0064_ruled_scopes

-- The calls that count as live under limits: those that may be at the carrier, or will be in a moment, and those that
-- were closed without knowing whether a phone rings, until that is known or the carrier must have ended them.
create or replace function calls_in_limits()
returns table (business_id bigint, campaign_id bigint, from_number text, is_unknown boolean)
language sql stable
as $$
    select call_log.business_id, call_log.campaign_id, call_log.from_number, false
      from call_log
     where status in ('claimed', 'initiated', 'ringing', 'in-progress') and direction = 'outbound'
    union all
    select call_log.business_id, call_log.campaign_id, call_log.from_number, true
      from call_log
     where status = 'failed'
       and (error_code = 'no_call_sid' and overdue_at is not null or error_code = 'several_candidates')
       and over_by > now()
       and direction = 'outbound'
$$;
comment on function calls_in_limits() is
    'Calls that count as live under limits: at Twilio, claimed, or closed with an unknown outcome.';

-- The rows of control of these scopes, scopes[n] with keys[n]; NULL asks for every one.  Of scopes that are asked for, one
-- look by the key for each, whatever the planner takes their number for.
create or replace function chosen_scopes(scopes text[], keys text[]) returns setof dial_control
language sql stable
as $$
    select every_one.*
      from dial_control as every_one
     where scopes is null
    union all
    select found.*
      from unnest(scopes, keys) as asked (scope, key)
     cross join lateral (
           select *
             from dial_control as named
            where named.scope = asked.scope and named.key = asked.key
            limit 1
     ) as found
     where scopes is not null
$$;
comment on function chosen_scopes(text[], text[]) is
    'The rows of dial_control of scopes[n] with keys[n]; NULL: all.';

-- The scopes that something rules: a limit, a cap, a weight, a pause, a hold, or trouble of the carrier's, also past.
-- Found by an index of their own (dial_control_ruled, whose condition this is), whatever the number of the others.
create or replace function ruled_scopes() returns table (scope text, key text)
language sql stable
as $$
    select dial_control.scope, dial_control.key
      from dial_control
     where state <> 'running'
        or weight <> 1
        or calls_per_second is not null
        or live_max is not null
        or hold_until is not null
        or refused_calls <> '{}'
        or troubles <> 0
        or carrier_holds <> 0
        or carrier_hold_until is not null
        or slowed_at is not null
    union
    select spend_cap.scope, spend_cap.key from spend_cap
$$;
comment on function ruled_scopes() is
    'Scopes with a limit, a cap, a weight, a pause or a hold, or with which Twilio was in trouble.';

-- How much of their limits these scopes have left at this moment: scopes[n] with keys[n], of those that have a row of
-- control; NULL asks for every one.  A scope without a row has no limit.  The cost grows with the scopes that are asked
-- for and with the caps, not with the scopes that there ever were.
--
-- Live is what calls_in_limits says.  After a hold of the carrier one call at a time is tried, until it takes one.  A
-- hold of `account` is about the calls of TWILIO_ACCOUNT_SID: `calm_room` and `calm_until` are what is so of the others.
-- That of a business with an account of its own is about that business.  With only_capped, as the claim asks, live calls
-- are not counted where none of these scopes has a live_max: to count them costs more than the rest of a cycle.
-- `spend_code` is the cap that leaves no room, until `spend_until` at the latest (spend_room).
create or replace function room_of_scopes(
    scopes text[], keys text[], account_rate float8, only_capped boolean default false
)
returns table (
    scope text, key text, weight float8, state text, state_reason text, state_since timestamptz,
    calls_per_second float8, limit_rate float8, rate float8, tokens float8, live_max integer, live bigint,
    unknown bigint, room bigint, hold_until timestamptz, calm_room bigint, calm_until timestamptz, served float8,
    served_floor float8, refused integer, troubles integer, carrier_holds integer, carrier_hold_until timestamptz,
    is_slowed boolean, spend_code text, spend_until timestamptz
)
language sql stable
as $$
    with control as materialized (
        -- Once: while somebody holds a snapshot, every version of a row is passed by.
        select chosen.*,
               coalesce(
                   chosen.calls_per_second,
                   -- The carrier grants each account a rate of its own.
                   case
                       when chosen.scope = 'account' then account_rate
                       when chosen.scope = 'business' and account_rate is not null
                           then (select account_rate
                                   from business
                                  where business.id = chosen.key::bigint and carrier_account is not null)
                   end
               ) as limit_rate
          from chosen_scopes(scopes, keys) as chosen
    ), live as (
        select call.business_id, call.campaign_id, call.from_number, count(*) as calls,
               count(*) filter (where call.is_unknown) as unknown,
               grouping(call.business_id) as no_business, grouping(call.campaign_id) as no_campaign,
               grouping(call.from_number) as no_number
          from calls_in_limits() as call
         where not only_capped or exists (select from control where control.live_max is not null)
         group by grouping sets ((), (call.business_id), (call.campaign_id), (call.from_number))
    ), live_by_scope as (
        select case
                   when no_business = 0 then 'business' when no_campaign = 0 then 'campaign'
                   when no_number = 0 then 'number' else 'account'
               end as scope,
               coalesce(case
                   when no_business = 0 then business_id::text when no_campaign = 0 then campaign_id::text
                   when no_number = 0 then from_number
               end, '') as key,
               calls, live.unknown
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
                              else dialed_at >= greatest(control.carrier_hold_until, now() - interval '20 s')
                          end
               ) as calls
          from control
         where control.carrier_holds > 0 and control.scope in ('account', 'business')
    ), paced as materialized (  -- once for each: what is reckoned with it names it several times
        select control.*,
               pace_now(control.limit_rate, slow_factor, slowed_at, slowed_from) as rate
          from control
    )
    select paced.scope, paced.key, paced.weight, paced.state, paced.state_reason, paced.state_since,
           paced.calls_per_second, paced.limit_rate, paced.rate, filled.tokens, paced.live_max,
           coalesce(live_by_scope.calls, 0), coalesce(live_by_scope.unknown, 0),
           case
               when held.until > now() then 0 else greatest(0, least(calm.room, 1 - being_tried.calls))
           end::bigint,
           held.until, calm.room::bigint, paced.hold_until, paced.served, paced.served_floor, cardinality(paced.refused_calls),
           paced.troubles, paced.carrier_holds, paced.carrier_hold_until,
           coalesce(paced.slowed_at > now() - interval '60 s', false), spend.code, spend.until
      from paced
      left join being_tried on being_tried.scope = paced.scope and being_tried.key = paced.key
      left join live_by_scope on live_by_scope.scope = paced.scope and live_by_scope.key = paced.key
      left join spend_room() as spend on spend.scope = paced.scope and spend.key = paced.key
     cross join lateral (select pace_tokens(paced.rate, paced.tokens, refilled_at) as tokens) as filled
     cross join lateral (select greatest(paced.hold_until, paced.carrier_hold_until) as until) as held
     cross join lateral (
           select case
                      when paced.state <> 'running' or paced.hold_until > now() then 0
                      else greatest(0, least(coalesce(paced.live_max, 1000000000) - coalesce(live_by_scope.calls, 0),
                                             floor(filled.tokens),
                                             spend.room))
                  end as room
     ) as calm
$$;
comment on function room_of_scopes(text[], text[], float8, boolean) is
    'What is left of the limits of scopes[n] with keys[n], of those in dial_control; NULL: of all.';

-- Each scope that has a row of control, and how much of its limits is left at this moment (room_of_scopes).
create or replace function dial_scope(account_rate float8, only_capped boolean default false)
returns table (
    scope text, key text, weight float8, state text, state_reason text, hold_until timestamptz, rate float8,
    tokens float8, live_max integer, live bigint, unknown bigint, room bigint, served float8,
    served_floor float8, spend_code text, spend_until timestamptz, calm_room bigint
)
language sql stable
as $$
    select room.scope, room.key, room.weight, room.state, room.state_reason, room.hold_until, room.rate, room.tokens,
           room.live_max, room.live, room.unknown, room.room, room.served, room.served_floor, room.spend_code,
           room.spend_until, room.calm_room
      from room_of_scopes(null, null, account_rate, only_capped) as room
$$;

-- What limits and stops a call that waits, the widest first: its scopes, as an operator calls them, with what is left of
-- their limits (room_of_scopes).  `is_elsewhere` where the account is not the one with which its business calls.
create or replace function scopes_of_call(call_id bigint, account_rate float8)
returns table (
    place integer, scope text, key text, called text, zone text, state text, state_reason text, state_since timestamptz,
    troubles integer, carrier_holds integer, carrier_hold_until timestamptz, is_slowed boolean, hold_until timestamptz,
    rate float8, tokens float8, live_max integer, live bigint, unknown bigint, room bigint, spend_code text,
    spend_until timestamptz, is_elsewhere boolean
)
language sql stable
as $$
    select own.*, call_zone(waiting.to_number, waiting.time_zone, waiting.business_id), room.state, room.state_reason,
           room.state_since, room.troubles, room.carrier_holds, room.carrier_hold_until, room.is_slowed,
           -- A hold of the carrier's for everything is about the calls that have no account of their own.
           case when is_elsewhere then room.calm_until else room.hold_until end, room.rate,
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
     inner join lateral room_of_scopes(
           array['account', 'business', 'campaign', 'number'],
           array['', waiting.business_id::text, waiting.campaign_id::text, waiting.from_number],
           account_rate
     ) as room on room.scope = own.scope and room.key = own.key
     cross join lateral (select own.scope = 'account' and business.carrier_account is not null as is_elsewhere) as account
     where waiting.id = $1 and waiting.status = 'queued'
$$;

-- The calls that wait, by business, campaign and state: due, and dialed as room allows; withheld though they are due
-- (paused, campaign_not_started, spend_cap); not_due; call_paused, each by itself.  Lane by lane, from the index alone.
create or replace view queue_load as
with stopped as (
    select paused.scope, paused.key, 'paused' as reason from dial_control as paused where paused.state <> 'running'
    union all
    select cap.scope, cap.key, 'spend_cap' as reason
      from cap_room as cap
     where cap.code is not null
       and not exists (select
                         from dial_control as control
                        where control.scope = cap.scope and control.key = cap.key and control.state <> 'running')
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
