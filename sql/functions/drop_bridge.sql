-- Stop writing to the old tables.  What was written there stays.
create or replace function drop_bridge() returns void
language plpgsql as $$
begin
    drop trigger if exists old_bridge_inserted on call_log;
    drop trigger if exists old_bridge_updated on call_log;
    drop trigger if exists old_bridge_written on call_log;
    drop function if exists old_write_calls(bigint[], text);
    drop function if exists old_write_leads(bigint[], text);
    delete from bridge_due;
end
$$;
