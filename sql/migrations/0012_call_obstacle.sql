-- What stands in the way of a call: asked by the claim before each dial, and by whoever wants to know why.
-- depends: 0011_suppression

-- Each scope that has a row of control: how much of its limits is left at this moment.
-- Live is what may be at the carrier, or will be in a moment; a scope without a row has no limit.  While the carrier is
-- in trouble one call at a time is tried, until it takes one.
create or replace function dial_scope(account_rate float8)
returns table (
    scope text, key text, weight float8, state text, state_reason text, hold_until timestamptz, rate float8,
    tokens float8, live_max integer, live bigint, room bigint, served float8,
    served_floor float8
)
language sql stable
as $$
    with live as (
        select business_id, campaign_id, from_number, count(*) as calls,
               grouping(business_id) as no_business, grouping(campaign_id) as no_campaign,
               grouping(from_number) as no_number
          from call_log
         where status in ('claimed', 'initiated', 'ringing', 'in-progress') and direction = 'outbound'
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
        select count(*) as calls
          from call_log, dial_control
         where scope = 'account' and troubles > 0
           and call_log.status in ('claimed', 'initiated') and direction = 'outbound' and call_sid is null
           and (call_log.status = 'claimed'
                or dialed_at >= greatest(hold_until, now() - interval '10 s'))
    ), paced as (
        select dial_control.*,
               pace_now(coalesce(calls_per_second, case when scope = 'account' then account_rate end),
                        slow_factor, slowed_at) as rate
          from dial_control
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
     cross join being_tried
      left join live_by_scope on live_by_scope.scope = paced.scope and live_by_scope.key = paced.key
     cross join lateral (select pace_tokens(rate, paced.tokens, refilled_at) as tokens) as filled
$$;

-- Why this call may not be dialed now, whatever the limits: no row where nothing is in its way.  What is final closes
-- the call; anything else holds it until then.  `opening` is next_opening of its windows and zones.
create or replace function call_obstacle(call call_log, window_ids bigint[], zones text[], opening timestamptz)
returns table (code text, until timestamptz, is_final boolean)
language sql stable
as $$
    with rule as (
        select campaign.ends_at, campaign.consent_required, campaign.registry_max_age_days,
               retry_ladder.attempts_per_day_max, retry_ladder.attempts_per_week_max
          from business
          left join campaign on campaign.id = $1.campaign_id
          left join retry_ladder on retry_ladder.id = coalesce(campaign.ladder_id, business.ladder_id)
         where business.id = $1.business_id
    ), tried as (
        select (select dialed_at + interval '1 day'
                  from call_log
                 where business_id = $1.business_id and to_number = $1.to_number and direction = 'outbound'
                   and dialed_at > now() - interval '1 day' and id <> $1.id
                 order by dialed_at desc
                offset attempts_per_day_max - 1
                 limit 1) as day_until,
               (select dialed_at + interval '7 days'
                  from call_log
                 where business_id = $1.business_id and to_number = $1.to_number and direction = 'outbound'
                   and dialed_at > now() - interval '7 days' and id <> $1.id
                 order by dialed_at desc
                offset attempts_per_week_max - 1
                 limit 1) as week_until
          from rule
         where attempts_per_day_max is not null
    ), obstacle as materialized (  -- else its look-ups are done again wherever its code is mentioned
        select case
                   when ends_at <= now() then 'campaign_ended'
                   when is_suppressed($1.to_number, $1.business_id, $1.campaign_id) then 'suppressed'
                   when consent_required and not has_consent($1.business_id, $1.to_number) then 'no_consent'
                   when registry_check.is_listed and not has_consent($1.business_id, $1.to_number)
                       then 'registry_listed'
                   when registry_max_age_days is not null
                       and not coalesce(registry_check.checked_at
                                        > now() - make_interval(days => registry_max_age_days), false)
                       and not has_consent($1.business_id, $1.to_number)
                       then 'registry_check_old'
                   when $2 <> '{}' and $3 = '{}' then 'no_time_zone'
                   when week_until > now() then 'attempts_per_week'
                   when day_until > now() then 'attempts_per_day'
                   when $2 <> '{}' and coalesce($4 > now(), true) then 'outside_window'
               end as code,
               day_until, week_until
          from rule
          left join tried on true
          left join registry_check
            on registry_max_age_days is not null and registry_check.phone = $1.to_number
    )
    select code,
           case code
               when 'attempts_per_week' then week_until
               when 'attempts_per_day' then day_until
               when 'registry_check_old' then now() + interval '15 minutes'
               when 'outside_window' then coalesce($4, now() + interval '14 days')
           end,
           code in ('campaign_ended', 'suppressed', 'no_consent', 'registry_listed', 'no_time_zone')
      from obstacle
     where code is not null
$$;

-- The windows that a call must keep: its business's and its campaign's.
create or replace function call_windows(business_id bigint, campaign_id bigint) returns bigint[]
language sql stable
return (
    select array_remove(array[business.window_id, campaign.window_id], null)
      from business
      left join campaign on campaign.id = call_windows.campaign_id
     where business.id = call_windows.business_id
);

-- A code in words that an operator can act upon.
create or replace function obstacle_sentence(code text) returns text
language sql immutable parallel safe
return case code
    when 'campaign_ended' then 'Its campaign has ended.'
    when 'suppressed' then 'The number is on a do-not-call list.'
    when 'no_consent' then 'The campaign demands consent, and none is on record or it has expired.'
    when 'registry_listed' then 'The do-not-call registry lists the number, and there is no consent.'
    when 'registry_check_old' then 'The number must be checked against the do-not-call registry again.'
    when 'no_time_zone'
        then 'There are calling hours, and the callee''s time zone cannot be told from the number: state time_zone.'
    when 'attempts_per_week' then 'The callee was tried as often as one week allows.'
    when 'attempts_per_day' then 'The callee was tried as often as one day allows.'
    when 'outside_window' then 'It is outside the calling hours at the callee''s.'
end;
