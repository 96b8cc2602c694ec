-- identity.sql: is this the database that dialed last?  Read by outbound/database/identity.py alone.

-- name: look_at_identity(seen)^
-- Compare this database with what it was when it last dialed, and with what is known outside of it; where they differ,
-- stop all dialing.  The first look of all writes down what is found, unless calls were dialed and somebody outside
-- knows of another database.
--
-- `seen` is a JSON array of what is known outside: (line, dials), dials by slot.
--
-- Moves    (nothing) -> a row in dialing_stop
-- Returns  `line`; `reason`, why nothing may be dialed, or NULL; is it `news`
-- Races    other dispatchers write the same
-- Undo     `outbound recover`
with seen as materialized (
    select line, dials
      from jsonb_to_recordset(:seen::jsonb) as told (line uuid, dials jsonb)
), first_look as (
    insert into identity (system_identifier, timeline, database_oid, schema_oid, carrier)
    select system_identifier, timeline, database_oid, live_schema_oid(), current_setting('outbound.carrier', true)
      from live_identity()
     where not exists (select from identity)
       and not (exists (select from seen)
                and exists (select from call_log where direction = 'outbound' and dialed_at is not null))
    on conflict do nothing
    returning line
), others as (
    insert into identity (line, database_oid, ended_at)
    select seen.line, 0, now() from seen cross join first_look
    on conflict do nothing
), told_now as (
    -- The right to ask was granted meanwhile, a version wrote the row that did not ask for all of it, or we dial with
    -- another carrier now.
    update identity
       set system_identifier = coalesce(identity.system_identifier, live.system_identifier),
           timeline = coalesce(identity.timeline, live.timeline),
           schema_oid = coalesce(identity.schema_oid, live_schema_oid()),
           carrier = current_setting('outbound.carrier', true)
      from live_identity() as live
     where ended_at is null
       and (identity.system_identifier is null and live.system_identifier is not null
            or identity.timeline is null and live.timeline is not null
            or identity.schema_oid is null
            or identity.carrier is distinct from current_setting('outbound.carrier', true))
), forgotten as (
    select sum((dial.value)::bigint - coalesce(dials_begun.calls, 0)) as calls
      from seen
     inner join identity on identity.line = seen.line and ended_at is null
     cross join lateral jsonb_each_text(seen.dials) as dial (slot, value)
      left join dials_begun on dials_begun.slot = (dial.slot)::integer
     where (dial.value)::bigint > coalesce(dials_begun.calls, 0)
), fault as (
    select case
               when own.fault is not null then own.fault
               when forgotten.calls > 0 then 'forgotten'
               when not exists (select from first_look)
                   and exists (select from seen where not exists (select from identity where identity.line = seen.line))
                   then 'stranger'
           end as fault, forgotten.calls
      from forgotten
      left join (select identity_fault() as fault) as own on true
), stopped as (
    insert into dialing_stop (cause, reason)
    select 'recovery',
           case fault
               when 'cluster' then 'This is another database server than the one that dialed last'
                                   || ' (a restored dump, a copy or an upgrade).'
               when 'timeline' then 'The database server is on another time line: it was restored, or a standby was'
                                    || ' promoted, and calls may be missing.'
               when 'copy' then 'This database, or this schema of it, is a copy of the one that dialed last.'
               when 'forgotten' then 'The database was set back to an earlier moment: it does not know of '
                                     || fault.calls || ' calls that were begun.'
               else 'The broker or this host last worked for another database, or for a later state of this one.'
           end || ' Run `outbound recover`.'
      from fault
     where fault is not null
    on conflict do nothing
    returning reason
)
select coalesce((select line from first_look), (select line from identity where ended_at is null)) as line,
       coalesce((select reason from stopped), (select reason from dialing_stop where cause = 'recovery')) as reason,
       exists (select from stopped) as is_news;
