-- A business's zone says what a moment without an offset means; Python checks it.
create or replace function business_zone() returns trigger
language plpgsql as $$
begin
    new.time_zone := coalesce((select present from former_zone where name = new.time_zone and is_time_zone(present)),
                              new.time_zone);
    return new;
end
$$;
