-- Why a call failed.  Clean-up of the old system died for want of these two columns.
-- depends: 0001_business_call_log_leads

do $$
declare
    before text := current_setting('lock_timeout');
begin
    -- Asked for again and again: behind a lock that is waited for, everybody waits.
    for attempt in 1..100 loop
        begin
            perform set_config('lock_timeout', '500ms', true);
            lock table call_log in access exclusive mode;
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

alter table call_log add column if not exists error_message text null;
-- squawk-ignore prefer-text-field
alter table call_log add column if not exists error_code varchar(64) null;
