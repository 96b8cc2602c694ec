-- The rows of `counter` that the first word of a call adds to: how long the carrier took to answer the dial, or the
-- callback to come.
create or replace function seconds_of_report(source text, dialed_at timestamptz, occurred_at timestamptz)
returns table (name text, label text, value bigint)
language sql stable
as $$
    select counted.name, counted.label, counted.value
      from (values ('create', 'dial_seconds', $2), ('callback', 'callback_lag_seconds', $3))
        as timed (source, name, began_at)
     cross join lateral seconds_counted(timed.name, extract(epoch from now() - timed.began_at)::float8) as counted
     where timed.source = $1
$$;
