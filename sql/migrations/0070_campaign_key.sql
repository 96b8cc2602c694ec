-- The key of a lane's campaign in dial_control is made by one function; four functions and a view each made it.
-- depends: 0069_parts_of_a_report

-- The key in dial_control of a lane's campaign: its id, or where the calls are of none (0), that of its business's others.
create or replace function campaign_key(campaign_id bigint, business_id bigint) returns text
language sql immutable parallel safe
return coalesce(nullif(campaign_id, 0)::text, 'of business ' || business_id);

comment on function campaign_key(bigint, bigint) is
    'The key in dial_control of a lane''s campaign: its id, or for calls of none that of its business''s others.';

-- The lanes whose calls have something to say and whose campaign has started: with the key of their campaign in
-- dial_control, the account of their business, and the windows that rule them.
create or replace function dialable_lanes()
returns table (
    business_id bigint, campaign_id bigint, from_number text, campaign_key text, carrier_account text,
    window_ids bigint[]
)
language sql stable
as $$
    select lane.business_id, lane.campaign_id, lane.from_number,
           campaign_key(lane.campaign_id, lane.business_id), business.carrier_account,
           call_windows(lane.business_id, lane.campaign_id)
      from lane
     inner join business on business.id = lane.business_id
      left join campaign on campaign.id = lane.campaign_id
     where coalesce(campaign.voice_url, campaign.twiml, business.voice_url, business.twiml) is not null
       and coalesce(campaign.starts_at <= now(), true)
$$;

-- Is the lane paused, by itself or with a scope that it lies in, or is its campaign not to begin yet?
create or replace function lane_is_stopped(of_business bigint, of_campaign bigint, of_number text) returns boolean
language sql stable
as $$
    select exists (select from campaign where id = of_campaign and starts_at > now())
        or exists (select
                     from dial_control
                    where state <> 'running'
                      and (scope, key) in (
                              ('account', ''),
                              ('business', of_business::text),
                              ('campaign', campaign_key(of_campaign, of_business)),
                              ('number', of_number)
                          ))
$$;

-- The call that is due first in these lanes, except those of which an operator or the breaker paused a scope.
create or replace function first_waiting_call(lanes lane[])
returns table (id bigint, due_at timestamptz, held_by text, zone text)
language sql stable rows 1
as $$
    with paused as materialized (
        select scope, key from dial_control where scope <> 'account' and state <> 'running'
    )
    select head.*
      from (select unnested.*, campaign_key(unnested.campaign_id, unnested.business_id) as campaign_key
              from unnest(lanes) as unnested) as lane
     cross join lateral (
           select call_log.id, call_log.due_at, call_log.held_by, call_zone(to_number, time_zone, call_log.business_id)
             from call_log
            where call_log.business_id = lane.business_id
              and coalesce(call_log.campaign_id, 0) = lane.campaign_id
              and call_log.from_number = lane.from_number
              and status = 'queued'
              and paused_at is null
            order by call_log.due_at, call_log.id
            limit 1
     ) as head
     where not exists (select
                         from paused
                        where key = case scope
                                        when 'business' then lane.business_id::text
                                        when 'campaign' then lane.campaign_key
                                        else lane.from_number
                                    end)
     order by head.due_at, head.id
     limit 1
$$;

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
       and by_campaign.key = campaign_key(lane_load.campaign_id, lane_load.business_id)
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
