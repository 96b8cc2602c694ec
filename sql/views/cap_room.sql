-- How many calls the spend caps of a scope leave room for: the longest of the scope is reckoned with, as calls of any
-- time limit may come next.  `code` is the cap that leaves none, until `until` at the latest.
create or replace view cap_room as
with part as (
    select cap_usage.scope, cap_usage.key, cap_usage.until, part.code, greatest(0, part.room)::bigint as room
      from cap_usage
     cross join lateral (
           values ('calls_per_' || period, calls_max - calls),
                  ('minutes_per_' || period, floor((minutes_max * 60::bigint - seconds) / call_s))
     ) as part (code, room)
     where part.room is not null
)
select scope, key, min(room) as room,
       (array_agg(code order by until desc, code asc) filter (where room = 0))[1] as code,
       max(until) filter (where room = 0) as until
  from part
 group by scope, key;
