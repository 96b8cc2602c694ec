-- Is every window open in every zone at this moment and for `for_s` seconds from then?  NULL without window or zone.
-- Says no, too, where clocks are changed meanwhile: next_opening knows better.
create or replace function is_surely_open(
    window_ids bigint[], zones text[], at timestamptz, for_s float8
) returns boolean
language sql stable parallel safe
return (
    select bool_and(clock.ends - clock.begins = make_interval(secs => for_s)
                    and tsrange(clock.begins, clock.ends, '[]') <@ hours.open)
      from unnest(window_ids) as window_id
     cross join window_hours(window_id, (at at time zone 'UTC')::date - 1, (at at time zone 'UTC')::date + 1)
        as hours (open)
     cross join (
           select at at time zone zone as begins, (at + make_interval(secs => for_s)) at time zone zone as ends
             from unnest(zones) as zone
     ) as clock
);
