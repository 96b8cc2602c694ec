-- What keeps a call that waits from being dialed by itself or in one of its scopes (why_not_dialed): a pause, a hold, a cap,
-- as many live calls as are allowed, or the pace.
create or replace function why_by_limits(call_id bigint, account_rate float8)
returns table (place integer, code text, sentence text, until timestamptz, details jsonb)
language sql stable
as $$
    with scope as materialized (
        select * from scopes_of_call($1, account_rate)
    ), paused (place, called, scope, key, since, reason, zone) as (
        select 0, 'call ' || id, 'call', id::text, paused_at, null, call_zone(to_number, time_zone, business_id)
          from call_log
         where id = $1 and status = 'queued' and paused_at is not null
        union all
        select place, called, scope, key, state_since, state_reason, zone from scope where state <> 'running'
    )
    select 4, 'paused',
           pause_sentence(called, null, since, who, said, zone), null::timestamptz,
           jsonb_build_object('paused', called, 'since', since, 'who', who, 'reason', said)
      from (select * from paused order by place limit 1) as paused
     cross join lateral last_pause(scope, key, since, reason) as mover (who, said)
    union all
    select 10, 'hold',
           case
               when carrier_hold_until = hold_until
                   then format('The carrier is in trouble%s, %s times in a row: nothing is dialed before %s, then one'
                               ' call is tried. `outbound resume %s` ends the wait.',
                               case when scope = 'business' then ' with the account of ' || called end,
                               troubles, moment_text(hold_until, zone), called)
               else format('%s is held until %s: calls are being canceled.',
                           initcap(left(called, 1)) || substr(called, 2), moment_text(hold_until, zone))
           end,
           hold_until, jsonb_build_object('scope', scope, 'key', key, 'troubles', troubles)
      from (select * from scope where hold_until > now() order by hold_until desc limit 1) as held
    union all
    select 11, 'spend_cap',
           spend_sentence(initcap(left(called, 1)) || substr(called, 2), scope, key, spend_code, spend_until),
           spend_until, jsonb_build_object('scope', scope, 'key', key, 'cap', spend_code)
      from (select * from scope where spend_code is not null order by spend_until desc, place limit 1) as capped
    union all
    select 12, 'live_max',
           format('%s has %s calls live%s, and %s are allowed at once.',
                  initcap(left(called, 1)) || substr(called, 2), live,
                  case when unknown > 0 then ', ' || unknown || ' of them with an unknown outcome' end, live_max),
           null,
           jsonb_build_object('scope', scope, 'key', key, 'live', live, 'unknown', unknown, 'live_max', live_max)
      from (select * from scope where live >= live_max order by place limit 1) as full_scope
    union all
    select 13, 'trial', 'The carrier was in trouble: one call at a time is tried, until it takes one.', null,
           jsonb_build_object('troubles', troubles)
      from scope
     where carrier_holds > 0 and room <= 0 and tokens >= 1 and not is_elsewhere
    union all
    select 14, 'pace',
           format('%s may begin %s calls per second%s; the next one may begin at %s.',
                  initcap(left(called, 1)) || substr(called, 2), round(rate::numeric, 2),
                  case when is_slowed then ', slowed because the carrier answers with errors' end,
                  moment_text(next_at, zone)),
           next_at, jsonb_build_object('scope', scope, 'key', key, 'calls_per_second', rate, 'tokens', tokens)
      from (select *, now() + make_interval(secs => (1 - tokens) / (rate * 0.75)) as next_at
              from scope
             where tokens < 1
             order by next_at desc
             limit 1) as paced
$$;
