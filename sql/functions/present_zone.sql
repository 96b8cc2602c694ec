-- The name by which this server knows a zone: the given one, or its present name; NULL where it knows neither.
create or replace function present_zone(name text) returns text
language plpgsql stable strict parallel restricted
as $$
declare
    present text;
begin
    if is_time_zone(name) then
        return name;
    end if;
    select former_zone.present into present from former_zone where former_zone.name = present_zone.name;
    return case when is_time_zone(present) then present end;
end
$$;
