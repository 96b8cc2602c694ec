-- After a statement: write the calls and leads that bridge_note noted to the old tables.
create or replace function bridge_flush() returns trigger
language plpgsql as $$
declare
    calls text := current_setting('outbound.bridge_calls', true);
    leads text := current_setting('outbound.bridge_leads', true);
begin
    if calls <> '' then
        perform set_config('outbound.bridge_calls', '', true);
        perform bridge_write('call', string_to_array(substr(calls, 2), ',')::bigint[], true);
    end if;
    if leads <> '' then
        perform set_config('outbound.bridge_leads', '', true);
        perform bridge_write('lead', string_to_array(substr(leads, 2), ',')::bigint[], true);
    end if;
    return null;
end
$$;
