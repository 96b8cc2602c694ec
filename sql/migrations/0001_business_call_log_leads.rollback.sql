-- A table goes while it is empty, and where this migration made it; nothing can be set that would let go of rows here.
do $$
declare
    held record;
    rows_held bigint;
    losses text[] := '{}';
begin
    for held in
        select relname,
               exists (
                   select from pg_attribute where attrelid = pg_class.oid and attname = 'id' and attidentity = 'd'
               ) as is_ours
          from pg_class
         inner join pg_namespace on pg_namespace.oid = relnamespace
         where nspname = current_schema()
           and relname in ('business', 'call_log', 'leads')
         order by relname
    loop
        if not held.is_ours then
            raise exception using
                errcode = 'object_not_in_prerequisite_state',
                message = format('0001_business_call_log_leads is not rolled back: outbound did not make %s',
                                 held.relname);
        end if;
        execute format('lock table %I in share mode', held.relname);
        execute format('select count(*) from %I', held.relname) into rows_held;
        if rows_held > 0 then
            losses := losses || format('%s rows of %s', rows_held, held.relname);
        end if;
    end loop;
    if losses <> '{}' then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = format('0001_business_call_log_leads is not rolled back: it would lose %s; '
                             'empty these tables by hand first', array_to_string(losses, ', '));
    end if;
end
$$;

drop table if exists leads;
drop table if exists call_log;
drop table if exists business;
