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
