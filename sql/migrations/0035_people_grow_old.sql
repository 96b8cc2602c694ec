-- What is kept of people for a time that is set, and not longer: the oldest are found without a look at the others.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction
-- transactional: false
-- depends: 0034_person

-- What a build that was killed left behind is in nobody's use, and in the way of the next.
do $$
declare
    leftover text;
begin
    for leftover in
        select format('%I.%I', nspname, relname)
          from pg_index
         inner join pg_class on pg_class.oid = indexrelid
         inner join pg_namespace on pg_namespace.oid = relnamespace
         where not indisvalid
           and nspname = current_schema()
           and relname in (
                   'call_log_lead', 'leads_duplicates', 'leads_touched', 'registry_check_age', 'audit_age',
                   'audit_change_age')
    loop
        execute 'drop index ' || leftover;
    end loop;
end
$$;

-- Who asks whether a lead still has a call, or a twin: the delete of a lead.
create index concurrently if not exists call_log_lead on call_log (lead_id) where lead_id is not null;
create index concurrently if not exists leads_duplicates on leads (duplicate_of) where duplicate_of is not null;

create index concurrently if not exists leads_touched on leads (updated_at);
create index concurrently if not exists registry_check_age on registry_check (checked_at);
create index concurrently if not exists audit_age on audit (at) where not details ? 'erased' and action <> 'erase';
create index concurrently if not exists audit_change_age on audit_change (at) where not details ? 'erased';
