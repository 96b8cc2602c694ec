-- event_stream.sql: events in an order that never goes back.  Read by outbound/webhooks/event_stream.py alone.

-- name: want_events(name, business_id, days)!
-- Write events for this reader for so many days more, also where no endpoint wants them.
insert into event_reader (name, business_id, wanted_until)
values (:name, :business_id, now() + make_interval(days => :days))
on conflict (name, coalesce(business_id, 0)) do update
   set wanted_until = excluded.wanted_until
 where event_reader.wanted_until < excluded.wanted_until - interval '1 hour';

-- name: place_now()^
-- Returns  the place in the stream after which everything is new
select pg_snapshot_xmin(pg_current_snapshot())::text as xid, 0::bigint as id;

-- name: events_after(after_xid, after_id, business_id, types, page_max)
-- Returns  the next events in the order of their transactions: `xid` and `id` are the place of each, and its data; where
--          there is none, one row without an `id`.  On each row `end_xid`, before which all is shown, and `is_unknown`:
--          the place lies after all that this server has
-- Ids commit out of order, so that "greater than the last one seen" would leave some out.  Here what is shown is of
-- transactions before the first one that still runs: none of them writes any more.
-- A place from before a restore into another server has an xid that this one has not come to: its id counts then, where
-- an event that came with the restore has it, or a later one.
with place as materialized (
    select case when is_ahead then '0'::xid8 else :after_xid::xid8 end as xid, pg_snapshot_xmin(snapshot) as end_xid,
           is_ahead
           and not exists (select
                             from event_log
                            where id >= :after_id::bigint and (xid = '0' or xid >= pg_snapshot_xmax(snapshot)))
               as is_unknown
      from pg_current_snapshot() as snapshot
     cross join lateral (select :after_xid::xid8 > pg_snapshot_xmin(snapshot) as is_ahead) as compared
)
select end_xid::text as end_xid, is_unknown, event.*
  from place
  left join lateral (
       select event.xid::text as xid, event.id, public_id, type, business_id, at, event_payload(event) as data
         from event_log as event
        where (event.xid, event.id) > (place.xid, :after_id::bigint)
          and event.xid < place.end_xid
          and not is_unknown
          and (:business_id::bigint is null or business_id = :business_id)
          and (:types::text[] is null or type = any(:types::text[]))
        order by event.xid, event.id
        limit :page_max
 ) as event on true
 order by event.xid::xid8, event.id;

-- name: take_in_restored()!
-- Events of before a restore into another server come first: their transactions are none of this one's.
update event_log set xid = '0' where xid >= pg_snapshot_xmax(pg_current_snapshot());
