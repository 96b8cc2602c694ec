-- The local times at which a window is open on these days; none after the last day that is known.
create or replace function window_hours(window_id bigint, first_day date, last_day date) returns tsmultirange
language sql stable parallel safe
return (
    select coalesce(range_agg(tsrange(since + make_interval(mins => lower(shift)),
                                      since + make_interval(mins => upper(shift)))), '{}')
      from calling_window
     cross join lateral generate_series(first_day::timestamp, least(last_day, known_until)::timestamp, '1 day')
        as date (midnight)
      left join calling_day on calling_day.window_id = calling_window.id and calling_day.day = date.midnight::date
     cross join lateral (
           select date.midnight as since, calling_day.hours as shifts where calling_day.day is not null
            union all
           select date_trunc('week', date.midnight),
                  calling_window.hours
                  * int4multirange(int4range(1440 * (extract(isodow from date.midnight)::integer - 1),
                                             1440 * extract(isodow from date.midnight)::integer))
            where calling_day.day is null
     ) as daily
     cross join lateral unnest(daily.shifts) as shift
     where calling_window.id = window_hours.window_id
);
