-- Write again what could not be written; of a call that is gone nothing is due.  Our call is locked first, as by those
-- who move it: what is written is its latest word.
--
-- Returns  the SQLSTATE where it failed again; NULL where it is done, or somebody else is at it
create or replace function bridge_write_again(kind text, call_id bigint) returns text
language plpgsql as $$
declare
    failed text;
begin
    perform from bridge_due where bridge_due.kind = $1 and bridge_due.call_id = $2 for update skip locked;
    if not found then
        return null;
    end if;
    perform from call_log where id = $2 for no key update skip locked;
    if found then
        failed := bridge_write($1, array[$2], false);
    elsif exists (select from call_log where id = $2) then
        return null;
    end if;
    if failed is null then
        delete from bridge_due where bridge_due.kind = $1 and bridge_due.call_id = $2;
        insert into counter (name, label, slot, value)
        values ('old_bridge', 'late', pg_backend_pid() % 8, 1)
        on conflict (name, label, slot) do update set value = counter.value + 1;
    end if;
    return failed;
end
$$;
