-- What went wrong last at an endpoint is found, however many events wait there that nobody has sent yet.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction
-- transactional: false
-- depends: 0072_why_of_no_hour

-- What a build that was killed left behind is in nobody's use, and in the way of the next.
do $$
declare
    name text;
begin
    for name in select relname
                  from pg_index
                 inner join pg_class on pg_class.oid = indexrelid
                 inner join pg_namespace on pg_namespace.oid = relnamespace
                 where not indisvalid
                   and nspname = current_schema()
                   and relname = 'webhook_delivery_failed'
    loop
        -- Tried again and again: behind a lock that is waited for, everybody waits.
        for attempt in 1..100 loop
            begin
                perform set_config('lock_timeout', '500ms', true);
                execute format('drop index %I', name);
                exit;
            exception
                when lock_not_available or deadlock_detected then
                    if attempt = 100 then
                        raise;
                    end if;
                    perform pg_sleep(0.1);
            end;
        end loop;
    end loop;
end
$$;

create index concurrently if not exists webhook_delivery_failed on webhook_delivery (endpoint_id, due_at, event_id)
 where state = 'due' and error is not null;
