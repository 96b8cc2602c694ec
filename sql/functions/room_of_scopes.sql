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
