-- forgotten_stay_out for call_log, whose person is the callee, or the caller of an inbound call.
create or replace function forgotten_stay_out_of_calls() returns trigger
language plpgsql as $$
begin
    if is_forgotten(case when new.direction = 'inbound' then new.from_number else new.to_number end) then
        return null;
    end if;
    return new;
end
$$;
