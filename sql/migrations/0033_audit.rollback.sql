-- Only what this migration made goes, and no data unless the session says so: `outbound rollback` does, once asked.
do $$
declare
    theirs text;
    held record;
    rows_held bigint;
    losses text[] := '{}';
begin
    select string_agg(relname, ', ' order by relname) into theirs
      from pg_class
     inner join pg_namespace on pg_namespace.oid = relnamespace
     where nspname = current_schema()
       and relname in ('business', 'call_log', 'leads')
       and not exists (
           select from pg_attribute where attrelid = pg_class.oid and attname = 'id' and attidentity = 'd'
       );
    if theirs is not null then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = format('0033_audit is not rolled back: outbound did not make %s', theirs);
    end if;
    for held in
        select *
          from (values
                    ('audit_change', 'true'),
                    ('audit_link', 'true'),
                    ('audit', 'db_user is not null'),
                    ('audit', 'os_user is not null')
               ) as listed (relation, condition)
         where current_setting('outbound.lose_rows', true) is distinct from 'on'
    loop
        begin
            execute format('lock table %I in share mode', held.relation);
            execute format('select count(*) from %I where %s', held.relation, held.condition) into rows_held;
        exception
            when undefined_table or undefined_column then
                rows_held := 0;
        end;
        if rows_held > 0 then
            losses := losses || format('%s rows of %s%s', rows_held, held.relation,
                                       ' where ' || nullif(held.condition, 'true'));
        end if;
    end loop;
    if losses <> '{}' then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = format('0033_audit is not rolled back: it would lose %s; '
                             '`outbound rollback` says all that would be lost and asks first',
                             array_to_string(losses, ', '));
    end if;
end
$$;

do $$
declare
    target record;
begin
    for target in
        select tgrelid::regclass as owner, tgname
          from pg_trigger
         inner join pg_class on pg_class.oid = tgrelid
         where relnamespace = current_schema()::regnamespace and not tgisinternal and tgname ~ '^audit_|_audit_(insert|update|delete|truncate)$'
    loop
        execute format('drop trigger %I on %s', target.tgname, target.owner);
    end loop;
end
$$;

drop function if exists audit_changes_of(regclass, text[], text[]);
drop function if exists audit_note_row();
drop function if exists audit_note_statement();
drop function if exists audit_write(text, text, bigint, jsonb);
drop function if exists audit_difference(jsonb, jsonb);
drop function if exists audit_row(jsonb, text[], text[]);
drop function if exists audit_erase(text, text, bigint[], bigint[], text);
drop function if exists audit_stays();
drop function if exists audit_link_entry();
drop function if exists audit_stamp();
drop function if exists audit_hash(bytea, bigint, text, bigint, timestamptz, text, text, text, text, bytea);
drop function if exists audit_content(text, text, jsonb);
drop table if exists audit_head;
drop table if exists audit_link;
drop table if exists audit_change;
alter table audit drop column if exists os_user;
alter table audit drop column if exists db_user;
drop function if exists person_hash(text);
drop table if exists person_key;
