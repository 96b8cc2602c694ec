-- The entry that counts for a number: of a business's own and those for everybody, the one that says most of its digits.
create or replace function destination_entry(phone text, region text, business_id bigint) returns setof destination
language sql stable
as $$
    select destination.*
      from destination
     where coalesce(destination.business_id, 0) in (0, $3)
       and (destination.place = $2 or starts_with($1, destination.place))
     order by destination.digits desc, destination.business_id nulls last
     limit 1
$$;
