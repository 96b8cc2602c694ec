-- What is so of the businesses, campaigns and from-numbers whose calls wait in these lanes: paused, about to be, or their
-- account in trouble; of each at most five.  Rows of look_at_now (situation.sql).
create or replace function situation_of_scopes(lanes lane[])
returns table (place integer, code text, kind text, sentence text, since timestamptz, until timestamptz)
language sql stable
as $$
    with own_lane as materialized (
        select business_id::text as business_key, from_number,
               campaign_key(campaign_id, business_id) as campaign_key
          from unnest(lanes)
    ), scope as materialized (
        select control.scope, control.key, control.state, control.state_since, control.state_reason,
               control.refused_calls, control.troubles, control.carrier_hold_until,
               control.scope || ' ' || control.key as called, business.time_zone as zone,
               case control.scope
                   when 'business' then business.name
                   when 'campaign' then (select name from campaign where id = scope_id(control.key))
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
