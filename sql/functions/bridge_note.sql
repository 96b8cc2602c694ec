-- Note a call of which the old tables shall hear; bridge_flush writes them at the end of the statement.
create or replace function bridge_note() returns trigger
language plpgsql as $$
begin
    if current_setting('outbound.bridge', true) = 'off' then
        return null;
    end if;
    if tg_op = 'INSERT'
       or (old.status, old.call_sid, old.duration_s, old.error_code)
          is distinct from (new.status, new.call_sid, new.duration_s, new.error_code)
    then
        perform set_config('outbound.bridge_calls', concat(current_setting('outbound.bridge_calls', true), ',', new.id),
                           true);
    end if;
    if new.lead_id is not null and (tg_op = 'INSERT' or new.lead_id is distinct from old.lead_id) then
        perform set_config('outbound.bridge_leads', concat(current_setting('outbound.bridge_leads', true), ',', new.id),
                           true);
    end if;
    return null;
end
$$;
