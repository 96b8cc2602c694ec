-- Is this the name of a zone on this server?  Its tables and Python's are not of the same day.
create or replace function is_time_zone(name text) returns boolean
language plpgsql stable strict parallel restricted
as $$
begin
    return now() at time zone name is not null;
exception
    when others then
        return false;
end
$$;
