-- The do-not-call entries for everybody, and those of a campaign, are found without a look at all others.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction
-- transactional: false
-- depends: 0056_search_is_planned_once

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
                   and relname in ('suppression_everybody', 'suppression_of_campaign')
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

create index concurrently if not exists suppression_everybody on suppression (id) where business_id is null;
create index concurrently if not exists suppression_of_campaign
    on suppression (campaign_id, id) where campaign_id is not null;
