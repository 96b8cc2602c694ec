-- Are all of these names of time zones on this server?
create or replace function are_time_zones(zones text[]) returns boolean
language plpgsql stable strict parallel restricted
as $$
begin
    return (select bool_and(now() at time zone zone is not null) from unnest(zones) as zone);
exception
    when others then
        return false;
end
$$;
