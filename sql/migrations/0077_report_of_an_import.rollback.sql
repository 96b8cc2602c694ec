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
            message = format('0077_report_of_an_import is not rolled back: outbound did not make %s', theirs);
    end if;
    for held in
        select *
          from (values
                    ('call_import', 'report <> ''{}''')
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
            message = format('0077_report_of_an_import is not rolled back: it would lose %s; '
                             '`outbound rollback` says all that would be lost and asks first',
                             array_to_string(losses, ', '));
    end if;
end
$$;

alter table call_import drop column if exists report;
