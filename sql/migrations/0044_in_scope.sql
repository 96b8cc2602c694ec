-- Whether a call belongs to a scope is said in one place, and a counter's slot is chosen by its default.
-- depends: 0043_psql_views

do $$
begin
    -- Asked for again and again: behind a lock that is waited for, everybody waits.
    for attempt in 1..100 loop
        begin
            perform set_config('lock_timeout', '500ms', true);
            lock table counter in access exclusive mode;
            exit;
        exception
            when lock_not_available or deadlock_detected then
                if attempt = 100 then
                    raise;
                end if;
                perform pg_sleep(0.1);
        end;
    end loop;
    alter table counter alter column slot set default pg_backend_pid() % 8;
end
$$;

-- Is this call one of a scope's: of everything (account), of a business, a campaign or a from-number, or itself (call)?
create or replace function in_scope(call call_log, scope text, key text) returns boolean
language sql stable
return case scope
    when 'account' then true
    when 'business' then call.business_id::text = key
    when 'campaign' then call.campaign_id::text = key
    when 'number' then call.from_number = key
    when 'call' then call.id::text = key
end;

comment on function in_scope(call_log, text, text) is
    'Whether a call belongs to a scope: account (everything), business, campaign, number or call.';
