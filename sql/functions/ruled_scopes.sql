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
