-- When a zone's clocks are next changed, within 16 days; else NULL.  That is always at a quarter of an hour.
create or replace function next_clock_change(zone text, after timestamptz) returns timestamptz
language sql stable parallel safe
return (
    select min(quarter)
      from (select min(day) as day
              from generate_series(after + interval '24 hours', after + interval '384 hours', '24 hours') as day
             where clock_ahead(zone, day) <> clock_ahead(zone, after)) as changed
     cross join generate_series(date_bin('15 minutes', day - interval '24 hours', 'epoch'), day, '15 minutes')
        as quarter
     where clock_ahead(zone, quarter) <> clock_ahead(zone, after)
);
