create or replace function identity_fault() returns text
language sql stable
as $$
    select case
               when present.system_identifier is distinct from live.system_identifier
                   and present.system_identifier is not null then 'cluster'
               when present.timeline is distinct from live.timeline and present.timeline is not null then 'timeline'
               when present.database_oid is distinct from live.database_oid then 'copy'
           end
      from identity as present
     cross join live_identity() as live
     where present.ended_at is null
$$;

drop function if exists live_schema_oid();
alter table identity drop column if exists schema_oid;
