-- The scopes that something rules are found without a look at the others.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction
-- transactional: false
-- depends: 0063_scopes_by_id

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
                   and relname = 'dial_control_ruled'
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

create index concurrently if not exists dial_control_ruled on dial_control (scope, key)
 where state <> 'running'
    or weight <> 1
    or calls_per_second is not null
    or live_max is not null
    or hold_until is not null
    or refused_calls <> '{}'
    or troubles <> 0
    or carrier_holds <> 0
    or carrier_hold_until is not null
    or slowed_at is not null;
