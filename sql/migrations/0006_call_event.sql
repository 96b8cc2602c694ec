-- What the carrier told us about a call, word for word, in the order in which it reached us.
-- depends: 0005_call_log_queue

do $$
declare
    before text := current_setting('lock_timeout');
begin
    -- Asked for again and again: behind a lock that is waited for, everybody waits.
    for attempt in 1..100 loop
        begin
            perform set_config('lock_timeout', '500ms', true);
            lock table call_log in share row exclusive mode;
            exit;
        exception
            when lock_not_available or deadlock_detected then
                if attempt = 100 then
                    raise;
                end if;
                perform pg_sleep(0.1);
        end;
    end loop;
    perform set_config('lock_timeout', before, true);
end
$$;

create table if not exists call_event (
    id              bigint generated always as identity primary key,
    call_id         bigint not null references call_log (id),
    call_sid        text not null,
    source          text not null,
    status          text not null,
    sequence_number integer null,
    occurred_at     timestamptz null,
    received_at     timestamptz not null default now(),
    payload         jsonb not null default '{}'
);

-- The same event told twice is one event.
create unique index if not exists call_event_once
    on call_event (call_id, call_sid, source, status, coalesce(sequence_number, -1));
