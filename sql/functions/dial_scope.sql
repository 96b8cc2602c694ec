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
