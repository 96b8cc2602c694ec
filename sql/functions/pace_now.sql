-- How fast a scope goes: while it is slowed, that part of its rate, which grows until it is whole after a minute.  Where
-- no rate is set, slowed_from stands for it.
create or replace function pace_now(
    calls_per_second float8, slow_factor float8, slowed_at timestamptz, slowed_from float8 default 100
) returns float8
language sql stable parallel safe
return case
    when slowed_at is null or now() > slowed_at + interval '60 s' then calls_per_second
    else coalesce(calls_per_second, slowed_from, 100)
         * least(1, slow_factor + (1 - slow_factor) * extract(epoch from now() - slowed_at) / 60)
end;
