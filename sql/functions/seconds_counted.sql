-- The rows of `counter` that one duration adds to: its bucket, named by the bucket's upper bound in seconds, and the
-- sum, in milliseconds because counters are whole.  A clock that runs ahead of ours makes no negative time.
create or replace function seconds_counted(name text, seconds float8)
returns table (name text, label text, value bigint)
language sql immutable parallel safe
as $$
    select $1, counted.label, counted.value
      from (select array[0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600]::float8[] as bounds) as scale
     cross join lateral (
           values (coalesce((select min(bound)::text from unnest(bounds) as bound where bound >= greatest(0, $2)), '+Inf'),
                   1::bigint),
                  ('sum_ms', round(least(1e9, greatest(0, $2)) * 1000)::bigint)
     ) as counted (label, value)
     where $2 is not null
$$;
