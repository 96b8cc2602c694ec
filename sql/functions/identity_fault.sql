-- In what way this is not the database that dialed last, as far as it can tell by itself; NULL where it is, or where none
-- has dialed yet.  A part that was never shown is not compared; one that is not shown any more is another server's.
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
