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
            message = format('0049_webhooks is not rolled back: outbound did not make %s', theirs);
    end if;
    for held in
        select *
          from (values
                    ('webhook_endpoint', 'true'),
                    ('webhook_delivery', 'true'),
                    ('event_log', 'true'),
                    ('event_reader', 'true')
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
            message = format('0049_webhooks is not rolled back: it would lose %s; '
                             '`outbound rollback` says all that would be lost and asks first',
                             array_to_string(losses, ', '));
    end if;
end
$$;

-- Delete a call that has ended, and its events; one that somebody's table still points to is set aside and stays.
create or replace function delete_call(call_id bigint) returns boolean
language plpgsql as $$
begin
    delete from call_event where call_event.call_id = $1;
    delete from call_log where id = $1;
    return true;
exception
    when others then
        if not is_of_a_row(sqlstate) then
            raise;
        end if;
        perform set_aside($1, 'retention', sqlstate, sqlerrm);
        return false;
end
$$;

drop trigger if exists dial_control_event on dial_control;
drop trigger if exists call_import_event on call_import;
drop trigger if exists call_log_event on call_log;
drop function if exists webhook_wait(integer);
drop function if exists endpoint_after_attempts(
    webhook_endpoint, boolean, boolean, bigint, float8, integer, float8, float8, integer, integer
);
drop function if exists event_payload(event_log);
drop function if exists event_of_pause();
drop function if exists event_of_import();
drop function if exists event_of_call();
drop function if exists write_event(bigint, text, text, bigint, jsonb, bigint);
drop function if exists event_is_wanted(bigint, text);
drop function if exists endpoint_wants(text[], text);
drop table if exists webhook_delivery;
drop table if exists event_log;
drop table if exists event_reader;
drop table if exists webhook_endpoint;
