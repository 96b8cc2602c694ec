-- What is dialed has a zone that this server knows, by its present name.  Asked when the zone comes in or changes and
-- never again: another server, or a later tzdata, may have forgotten it, and then the claim closes the call.
create or replace function call_log_zone() returns trigger
language plpgsql as $$
begin
    if tg_op = 'UPDATE' and new.time_zone is not distinct from old.time_zone then
        return new;
    end if;
    new.time_zone := coalesce((select present from former_zone where name = new.time_zone and is_time_zone(present)),
                              new.time_zone);
    -- A later attempt has the zone of the first; history may have any.
    if new.retry_of is null and new.status in ('queued', 'claimed') and not is_time_zone(new.time_zone) then
        raise invalid_parameter_value using
            message = format('time zone %L is none that this PostgreSQL knows', left(new.time_zone, 64)),
            hint = 'State its present name, like Asia/Jerusalem.';
    end if;
    return new;
end
$$;
