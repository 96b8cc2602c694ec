-- The last guard, also for moves made by hand.
create or replace function call_log_guard() returns trigger
language plpgsql as $$
begin
    new.updated_at := now();
    if new.status <> old.status
       and call_status_rank(new.status) <= call_status_rank(old.status)
       and not (new.status = 'queued' and old.status in ('claimed', 'initiated') and old.call_sid is null)
       and not (call_awaits_truth(old.status, old.error_code) and new.call_sid is not null)
    then
        raise check_violation using message = format('call %s may not move from %s to %s', old.id, old.status, new.status);
    end if;
    if old.call_sid is not null and new.call_sid is distinct from old.call_sid then
        raise check_violation using message = format('call %s already has a call_sid, which never changes', old.id);
    end if;
    if old.lead_id is not null and new.lead_id is distinct from old.lead_id then
        raise check_violation using message = format('call %s already has a lead, which never changes', old.id);
    end if;
    return new;
end
$$;
