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
            message = format('0009_calling_window is not rolled back: outbound did not make %s', theirs);
    end if;
    for held in
        select *
          from (values
                    ('calling_window', 'true'),
                    ('calling_day', 'true'),
                    ('business', 'window_id is not null'),
                    ('campaign', 'window_id is not null')
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
            message = format('0009_calling_window is not rolled back: it would lose %s; '
                             '`outbound rollback` says all that would be lost and asks first',
                             array_to_string(losses, ', '));
    end if;
end
$$;

drop function if exists next_opening(bigint[], text[], timestamptz, float8);
drop function if exists first_opening(bigint[], text[], timestamptz, float8);
drop function if exists next_clock_change(text, timestamptz);
drop function if exists clock_ahead(text, timestamptz);
drop function if exists is_surely_open(bigint[], text[], timestamptz, float8);
drop function if exists window_hours(bigint, date, date);
alter table campaign drop column if exists window_id;
alter table business drop column if exists window_id;
drop table if exists calling_day;
drop table if exists calling_window;
