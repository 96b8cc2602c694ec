-- Begin to write what happens to our calls to the tables of the system before: its functions follow the columns that the
-- old system has now.
create or replace function make_bridge(old_schema text) returns void
language plpgsql strict as $$
begin
    perform make_old_write_calls(old_schema), make_old_write_leads(old_schema);
    create or replace trigger old_bridge_inserted after insert on call_log
    for each row when (new.status not in ('queued', 'claimed'))
    execute function bridge_note();
    create or replace trigger old_bridge_updated after update on call_log
    for each row when (
        (old.status not in ('queued', 'claimed') or new.status in ('initiated', 'ringing', 'in-progress'))
        and (old.status is distinct from new.status
             or old.call_sid is distinct from new.call_sid
             or old.lead_id is distinct from new.lead_id
             or old.duration_s is distinct from new.duration_s
             or old.error_code is distinct from new.error_code)
    )
    execute function bridge_note();
    create or replace trigger old_bridge_written after insert or update on call_log
    for each statement execute function bridge_flush();
end
$$;
