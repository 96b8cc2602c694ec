-- An import that goes on after its upload was answered keeps all that its report says.
-- depends: 0076_ended_campaigns

do $$
begin
    -- Asked for again and again: behind a lock that is waited for, everybody waits.
    for attempt in 1..100 loop
        begin
            perform set_config('lock_timeout', '500ms', true);
            alter table call_import add column if not exists report jsonb not null default '{}';
            exit;
        exception
            when lock_not_available or deadlock_detected then
                if attempt = 100 then
                    raise;
                end if;
                perform pg_sleep(0.1);
        end;
    end loop;
end
$$;

comment on column call_import.report is
    'What else its report says, once it ended: overdue, there, fields, dates and remarks (the first 1,000).';
