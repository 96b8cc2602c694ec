-- Set a call aside: closed, where it has not ended, and out of every later step.
--
-- Returns  was it not set aside before
create or replace function set_aside(call_id bigint, step text, state text, message text) returns boolean
language plpgsql as $$
declare
    words text := 'Set aside: ' || fault_text(step, state, message);
    was text;
begin
    -- Its key is checked by an insert, not by a foreign key's error.
    insert into call_set_aside (call_id, step, reason)
    select id, $2, words from call_log where id = $1
    on conflict do nothing;
    if not found then
        return false;
    end if;
    begin
        select status into was from call_log where id = $1 for update;
        update call_log
           set status = case when call_status_rank(was) < 5 then 'failed' else was end,
               error_code = case when call_status_rank(was) < 5 then 'odd_row' else error_code end,
               error_message = words,
               ended_at = case when call_status_rank(was) < 5 then now() else ended_at end,
               -- Nothing was sent yet.
               dialed_at = case when step not in ('begin', 'dial') then dialed_at end,
               overdue_at = null,
               held_by = null,
               hang_up = null
         where id = $1;
    exception
        when others then
            was := null;  -- not even that: the entry alone keeps it out
    end;
    insert into counter (name, label, slot, value)
    select name, label, pg_backend_pid() % 8, 1
      from (values ('ended', 'failed'), ('set_aside', $2)) as news (name, label)
     where name = 'set_aside' or call_status_rank(was) < 5
     order by name, label
    on conflict (name, label, slot) do update set value = counter.value + 1;
    return true;
end
$$;
