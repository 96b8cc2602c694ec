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
            message = format('0027_adoption is not rolled back: outbound did not make %s', theirs);
    end if;
    for held in
        select *
          from (values
                    ('adoption', 'true'),
                    ('adopted', 'true')
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
            message = format('0027_adoption is not rolled back: it would lose %s; '
                             '`outbound rollback` says all that would be lost and asks first',
                             array_to_string(losses, ', '));
    end if;
end
$$;

do $$
begin
    if to_regprocedure('drop_old_views()') is not null then
        perform drop_old_views();
    end if;
end
$$;
drop function if exists drop_old_error_columns(text, text[]);
drop function if exists add_old_error_columns(text);
drop function if exists word_of_old_call(text, text);
drop function if exists meaning_of_old_word(text);
drop function if exists drop_old_views();
drop function if exists make_old_views(text);
drop function if exists make_old_view(text, text, text, text[]);
drop function if exists columns_of_old_table(text, text, text[]);
drop table if exists adopted;
drop table if exists adoption;
