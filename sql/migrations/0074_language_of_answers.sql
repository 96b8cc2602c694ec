-- An answer of the API that is given again says in which language its sentences are.
-- depends: 0073_failed_deliveries

do $$
begin
    -- Asked for again and again: behind a lock that is waited for, everybody waits.
    for attempt in 1..100 loop
        begin
            perform set_config('lock_timeout', '500ms', true);
            alter table api_request add column if not exists content_language text;
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

comment on column api_request.content_language is
'Content-Language of the answer; null where it has no sentences, or was kept by a version before.';
