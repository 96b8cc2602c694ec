-- next_opening, the long way: all hours of 15 days, by what the clocks of each zone show before and after a change.
create or replace function first_opening(
    window_ids bigint[], zones text[], after timestamptz, for_s float8
) returns timestamptz
language sql stable parallel safe
return (
    with clock as (
        select zone, clock_ahead(zone, since) as ahead, since, until
          from unnest(zones) as zone
         cross join next_clock_change(zone, after) as change
         cross join lateral (
               values (after, least(change, after + interval '360 hours')), (change, after + interval '360 hours')
         ) as during (since, until)
         where since < until
    ), open_in_one as (
        select range_agg(tstzrange((lower(shift) - ahead) at time zone 'UTC', (upper(shift) - ahead) at time zone 'UTC')
                         * tstzrange(since, until))
               filter (where shift is not null) as open  -- a range without ends would be all of time
          from unnest(window_ids) as window_id
         cross join window_hours(window_id, (after at time zone 'UTC')::date - 1,
                                 (after at time zone 'UTC')::date + 17) as hours (open)
         cross join clock
          left join lateral unnest(hours.open) as shift on true
         group by window_id, zone
    ), open_in_all as (
        select range_intersect_agg(coalesce(open, '{}')) as open from open_in_one
    )
    select min(lower(shift))
      from open_in_all
     cross join unnest(open_in_all.open) as shift
     where upper(shift) > lower(shift) + make_interval(secs => for_s)
);
