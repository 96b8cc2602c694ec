-- Applications put calls in the queue on connections of their own, which know none of our settings.
-- depends: 0046_api_token

do $$
begin
    -- Asked for again and again: behind a lock that is waited for, everybody waits.
    for attempt in 1..100 loop
        begin
            perform set_config('lock_timeout', '500ms', true);
            lock table identity in access exclusive mode;
            exit;
        exception
            when lock_not_available or deadlock_detected then
                if attempt = 100 then
                    raise;
                end if;
                perform pg_sleep(0.1);
        end;
    end loop;
    alter table identity add column if not exists carrier text null;
end
$$;

comment on column identity.carrier is
'With which carrier its dispatchers dial: simulator or twilio. Written by each that looks. NULL: none has looked yet.';

-- Do the dispatchers of this database dial through the simulator?  Until one has said so, phones may ring.
create or replace function dials_by_simulator() returns boolean
language sql stable
return coalesce((select carrier = 'simulator' from identity where ended_at is null), false);

comment on function dials_by_simulator() is
    'Whether the dispatchers of this database dial through the simulator; false where none has said so.';

-- Is the carrier of this session the simulator?  Ours say so (pin_session); of others' the database knows.
create or replace function is_simulated() returns boolean
language sql stable
return coalesce(nullif(current_setting('outbound.carrier', true), '') = 'simulator', dials_by_simulator());
