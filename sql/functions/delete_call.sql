-- Delete a call that has ended, what the carrier said of it, and its events; one that somebody's table still points to is
-- set aside and stays.
create or replace function delete_call(call_id bigint) returns boolean
language plpgsql as $$
begin
    delete from call_event where call_event.call_id = $1;
    delete from event_log where event_log.call_id = $1;
    delete from call_log where id = $1;
    return true;
exception
    when others then
        if not is_of_a_row(sqlstate) then
            raise;
        end if;
        perform set_aside($1, 'retention', sqlstate, sqlerrm);
        return false;
end
$$;
