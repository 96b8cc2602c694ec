-- Who opened a destination, and who set a cap, is written by the audit's triggers too.
-- depends: 0030_destination 0031_spend_cap 0033_audit

do $$
begin
    perform set_config('lock_timeout', '5s', true);
    perform audit_changes_of('destination'), audit_changes_of('spend_cap');
end
$$;

-- Blank the details of entries that are older than so many days, 8 or more; which they are is not the caller's to say.
-- Returns how many were blanked.
create or replace function audit_erase_old(by_whom text, keep_days integer, batch_max integer) returns integer
language sql security definer
as $$
    select audit_erase(
               by_whom, 'older than ' || greatest(keep_days, 8) || ' days',
               array(select id
                       from audit
                      where at < now() - make_interval(days => greatest(keep_days, 8))
                        and not details ? 'erased'
                        and action <> 'erase'
                      order by at
                      limit batch_max),
               array(select id
                       from audit_change
                      where at < now() - make_interval(days => greatest(keep_days, 8)) and not details ? 'erased'
                      order by at
                      limit batch_max))
$$;

do $$
begin
    execute format('alter function audit_erase_old(text, integer, integer) set search_path = %I, pg_temp',
                   current_schema());
end
$$;
