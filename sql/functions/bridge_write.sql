-- Write these calls, or their leads, to the old tables, one by one where that fails for all of them.  What cannot be
-- written is noted, and fails nobody else.
--
-- A lock is waited for 20 ms; where that was in vain within two seconds, or calls are tried one by one, 1 ms.  Where the
-- old tables took until the statement was to be canceled, nothing is tried for a minute, if `may_skip`.
--
-- Returns  the SQLSTATE of the last failure; NULL where there was none
create or replace function bridge_write(kind text, call_ids bigint[], may_skip boolean) returns text
language plpgsql as $$
declare
    wait text := '20ms';
    tried record;
    failed text;
    one bigint;
begin
    if exists (select from bridge_due where state in ('55P03', '57014') and failed_at > now() - interval '1 min') then
        if exists (select from bridge_due where state = '55P03' and failed_at > now() - interval '2 s') then
            wait := '1ms';
        end if;
        if may_skip and exists (select from bridge_due where state = '57014' and failed_at > now() - interval '1 min') then
            failed := 'skipped';
        end if;
    end if;
    if failed is null then
        select * into tried from bridge_try(kind, call_ids, wait);
    else
        select failed as state, '' as cause into tried;
    end if;
    if tried.state is null then
        return null;
    end if;
    foreach one in array call_ids loop
        if cardinality(call_ids) > 1 and coalesce(tried.state not in ('57014', 'skipped'), true) then
            select * into tried from bridge_try(kind, array[one], '1ms');
        end if;
        continue when tried.state is null;
        insert into bridge_due as due (kind, call_id, state, cause, failed_at)
        select $1, call_log.id, tried.state, tried.cause, clock_timestamp()
          from call_log
         where call_log.id = one
           and exists (select from adopted where adopted.kind = 'business'
                         and adopted.new_id = call_log.business_id
                         and adopted.fate = 'adopted')
        on conflict on constraint bridge_due_pkey do update
           set state = excluded.state,
               cause = excluded.cause,
               tries = least(due.tries, 1000) + 1,
               failed_at = excluded.failed_at;
        continue when not found;
        failed := tried.state;
        insert into counter (name, label, slot, value)
        values ('old_bridge', 'failed', pg_backend_pid() % 8, 1)
        on conflict (name, label, slot) do update set value = counter.value + 1;
    end loop;
    return failed;
end
$$;
