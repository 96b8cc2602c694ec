-- Only functions: nothing is lost.
-- Whose a scope is; NULL of the account and of a from-number that no business has.
create or replace function scope_business(scope text, key text) returns bigint
language sql stable
as $$
    select case
               when $1 = 'business' then $2::bigint
               when $1 = 'campaign' then (select business_id from campaign where id::text = $2)
               when $1 = 'number' then (select business_id from business_number where phone = $2)
           end
$$;

-- What is paused, of a business or (null) of all, the latest first: who did it, why, and was it the breaker.
create or replace function page_pauses(in_business bigint, rows_max integer)
returns table (scope text, key text, name text, since timestamptz, who text, reason text, is_breaker boolean)
language sql stable
as $$
    select paused.scope, paused.key,
           case paused.scope
               when 'business' then (select business.name from business where business.id::text = paused.key)
               when 'campaign' then (select campaign.name from campaign where campaign.id::text = paused.key)
           end,
           paused.state_since, mover.who, mover.reason, paused.refused_calls <> '{}'
      from (select *
              from dial_control
             where state <> 'running'
               and (in_business is null or scope_business(dial_control.scope, dial_control.key) = in_business)
             order by state_since desc, dial_control.scope, dial_control.key
             limit rows_max) as paused
     cross join lateral last_pause(paused.scope, paused.key, paused.state_since, paused.state_reason) as mover
     order by paused.state_since desc, paused.scope, paused.key
$$;

-- What is so of the businesses, campaigns and from-numbers whose calls wait in these lanes: paused, about to be, or their
-- account in trouble; of each at most five.  Rows of look_at_now (situation.sql).
create or replace function situation_of_scopes(lanes lane[])
returns table (place integer, code text, kind text, sentence text, since timestamptz, until timestamptz)
language sql stable
as $$
    with own_lane as materialized (
        select business_id::text as business_key, from_number,
               coalesce(nullif(campaign_id, 0)::text, 'of business ' || business_id) as campaign_key
          from unnest(lanes)
    ), scope as materialized (
        select control.scope, control.key, control.state, control.state_since, control.state_reason,
               control.refused_calls, control.troubles, control.carrier_hold_until,
               control.scope || ' ' || control.key as called, business.time_zone as zone,
               case control.scope
                   when 'business' then business.name
                   when 'campaign' then (select name from campaign where id::text = control.key)
               end as name
          from dial_control as control
          left join business on business.id = scope_business(control.scope, control.key)
         where control.scope <> 'account'
           and (control.state <> 'running' or control.refused_calls <> '{}' or control.carrier_hold_until > now())
           and exists (select
                         from own_lane
                        where control.key = case control.scope
                                                when 'business' then own_lane.business_key
                                                when 'campaign' then own_lane.campaign_key
                                                else own_lane.from_number
                                            end)
    )
    select 13, 'paused', case when refused_calls <> '{}' then 'broken' else 'on_purpose' end,
           pause_sentence(called, name, state_since, who, said, zone), state_since, null::timestamptz
      from (select * from scope where state <> 'running' order by state_since desc, scope asc, key asc limit 5) as scope
     cross join lateral last_pause(scope.scope, scope.key, state_since, state_reason) as mover (who, said)
    union all
    select 14, 'carrier_refuses', 'held',
           format('The carrier refused the last %s calls of %s: after five in a row it is paused.',
                  cardinality(refused_calls), called),
           null, null
      from (select *
              from scope
             where state = 'running' and refused_calls <> '{}'
             order by cardinality(refused_calls) desc, key asc
             limit 5) as scope
    union all
    select 14, 'carrier_hold', 'held',
           format('The carrier is in trouble with the account of %s, %s times in a row: none of its calls is dialed'
                  ' before %s. `outbound resume %1$s` ends the wait.',
                  called, troubles, moment_text(carrier_hold_until, zone)),
           null, carrier_hold_until
      from (select *
              from scope
             where carrier_hold_until > now()
             order by carrier_hold_until desc, key asc
             limit 5) as scope
$$;

-- squawk-ignore ban-drop-function
drop function if exists scope_id(text);
