-- What keeps every call of this database from being dialed, what must be mended first first.
-- `kind` is broken (somebody must mend it), held (it ends by itself) or on_purpose (a person wants it so).
create or replace function dialing_blockers(worker_silent_s float8 default 10, scheduler_silent_s float8 default 60)
returns table (place integer, code text, kind text, sentence text, since timestamptz, until timestamptz)
language sql stable
as $$
    with account as (
        select * from dial_control where scope = 'account'
    )
    select case cause when 'recovery' then 1 else 4 end, 'stopped_' || cause, 'broken',
           reason || ' Nothing is dialed since ' || moment_text(since) || '.', since, null::timestamptz
      from dialing_stop
    union all
    select 3, 'no_scheduler', 'broken', scheduler_sentence($2), null, null
     where scheduler_sentence($2) is not null
    union all
    select 5, 'no_worker', 'broken', 'No worker is alive, so that nothing is dialed: start `outbound worker`.', null, null
     where not exists (select from worker where seen_at > now() - make_interval(secs => $1))
    union all
    select 2, 'paused', 'on_purpose', pause_sentence('everything', null, state_since, who, said, 'UTC'), state_since, null
      from account
     cross join lateral last_pause(account.scope, account.key, state_since, state_reason) as mover (who, said)
     where state <> 'running'
    union all
    select 6, 'carrier_hold', 'held',
           format('The carrier is in trouble, %s times in a row: nothing is dialed before %s, then one call is tried.'
                  ' `outbound resume everything` ends the wait.', troubles, moment_text(carrier_hold_until)),
           null, carrier_hold_until
      from account
     where carrier_hold_until > now()
    union all
    select 6, 'carrier_trial', 'held',
           'The carrier was in trouble: one call at a time is tried, until it takes one.', null, null
      from account
     where carrier_holds > 0 and coalesce(carrier_hold_until <= now(), true)
    union all
    select 7, 'canceling', 'held', 'Calls are being canceled: nothing is dialed before ' || moment_text(hold_until) || '.',
           null, hold_until
      from account
     where hold_until > now()
    union all
    select 8, 'spend_cap', 'on_purpose', spend_sentence('Everything', scope, key, room.code, room.until), null, room.until
      from spend_room() as room
     where scope = 'account' and room.code is not null
    union all
    select 9, 'live_max', 'on_purpose',
           'Everything may have 0 calls at once: `outbound limit everything --live-max ...` sets more.', null, null
      from account
     where live_max = 0
     order by 1
$$;
