-- A moment as sentences have it: weekday, date, time (seconds where there are any) and zone.
create or replace function moment_text(moment timestamptz, zone text) returns text
language sql stable
as $$
    select to_char($1 at time zone known.name,
                   'Dy YYYY-MM-DD HH24:MI' || case when date_trunc('minute', $1) = $1 then '' else ':SS' end)
           || ' ' || known.name
      from (select coalesce(present_zone($2), 'UTC') as name) as known
$$;

-- A moment in UTC, for what belongs to nobody's zone.
create or replace function moment_text(moment timestamptz) returns text
language sql stable
return moment_text($1, 'UTC');
