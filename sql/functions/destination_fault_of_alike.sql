-- What keeps a business from calling this number (destination_fault), where it keeps it from calling all numbers that are as
-- long and begin with the same six characters.  No row where a range or a destination tells them apart.
create or replace function destination_fault_of_alike(to_number text, business_id bigint) returns table (fault text)
language sql stable rows 1
as $$
    select destination.fault
      from destination_fault($1, $2) as destination
     where not exists (select
                         from number_range
                        where first > substr(left($1, 6), 2) and first < substr(left($1, 6), 2) || ':')
       and not exists (select
                         from destination
                        where coalesce(destination.business_id, 0) in (0, $2)
                          and length(place) > 6
                          and starts_with(place, left($1, 6)))
$$;
