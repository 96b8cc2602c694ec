-- The schema that our tables are in is part of which database this is: a dump of that schema alone, restored in the same
-- database, is an earlier state of the queue, as a restored database is.
-- depends: 0026_identity

alter table identity add column if not exists schema_oid bigint null;  -- NULL: written before, and not compared

create or replace function live_schema_oid() returns bigint
language sql stable
as $$
    select relnamespace::bigint from pg_class where oid = 'identity'::regclass
$$;

create or replace function identity_fault() returns text
language sql stable
as $$
    select case
               when present.system_identifier is distinct from live.system_identifier
                   and present.system_identifier is not null then 'cluster'
               when present.timeline is distinct from live.timeline and present.timeline is not null then 'timeline'
               when present.database_oid is distinct from live.database_oid
                   or present.schema_oid <> live_schema_oid() then 'copy'
           end
      from identity as present
     cross join live_identity() as live
     where present.ended_at is null
$$;
