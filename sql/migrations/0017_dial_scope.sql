-- The claim counts live calls only where somebody limits them.
-- squawk-ignore-file ban-drop-function
-- depends: 0016_call_log_vacuum

drop function if exists dial_scope(float8);  -- a call with one argument means the one below

-- Each scope that has a row of control: how much of its limits is left at this moment.
-- Live is what may be at the carrier, or will be in a moment; a scope without a row has no limit.  While the carrier is
-- in trouble one call at a time is tried, until it takes one.  With only_capped, as the claim asks, live calls are not
-- counted where no scope has a live_max: to count them costs more than the rest of a turn.
create or replace function dial_scope(account_rate float8, only_capped boolean default false)
returns table (
    scope text, key text, weight float8, state text, state_reason text, hold_until timestamptz, rate float8,
    tokens float8, live_max integer, live bigint, room bigint, served float8,
    served_floor float8
)
language sql stable
as $$
    with control as materialized (
        select * from dial_control  -- once: while somebody holds a snapshot, every version of every row is passed by
    ), live as (
        select business_id, campaign_id, from_number, count(*) as calls,
               grouping(business_id) as no_business, grouping(campaign_id) as no_campaign,
               grouping(from_number) as no_number
          from call_log
         where status in ('claimed', 'initiated', 'ringing', 'in-progress') and direction = 'outbound'
           and (not only_capped or exists (select from control where live_max is not null))
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
               calls
          from live
    ), being_tried as (
        -- Claims too.  Of those without an answer, the ones since the hold: earlier ones are what the trouble was, and
        -- one that is silent for ten seconds (its worker may be dead) lets the next one try.
        select case when troubles > 0 then (
                   select count(*)
                     from call_log
                    where status in ('claimed', 'initiated') and direction = 'outbound' and call_sid is null
                      and (status = 'claimed' or dialed_at >= greatest(hold_until, now() - interval '10 s'))
               ) end as calls
          from control
         where scope = 'account'
    ), paced as (
        select control.*,
               pace_now(coalesce(calls_per_second, case when scope = 'account' then account_rate end),
                        slow_factor, slowed_at) as rate
          from control
    )
    select paced.scope, paced.key, weight, state, state_reason, hold_until, rate, filled.tokens, live_max,
           coalesce(live_by_scope.calls, 0),
           case
               when state <> 'running' or hold_until > now() then 0
               else greatest(0, least(coalesce(live_max, 1000000000) - coalesce(live_by_scope.calls, 0),
                                      floor(filled.tokens),
                                      case when troubles > 0 then 1 - being_tried.calls end))
           end::bigint,
           served, served_floor
      from paced
      left join being_tried on true
      left join live_by_scope on live_by_scope.scope = paced.scope and live_by_scope.key = paced.key
     cross join lateral (select pace_tokens(rate, paced.tokens, refilled_at) as tokens) as filled
$$;
