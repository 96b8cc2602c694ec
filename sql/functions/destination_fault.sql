-- May this business call this number?  `fault` is NULL where it may; else `not_dialable`, which nobody can allow, or
-- `destination_not_allowed`.  Always one row.
--
-- Ordinary numbers of the business's own country are open, in the simulator those of all countries.  What is of another
-- kind is opened by an entry for numbers of that very kind alone: one for the whole country does not open its premium
-- lines.  What cannot be decided is a no.
create or replace function destination_fault(phone text, business_id bigint) returns table (fault text)
language sql stable
as $$
    select nullif(coalesce((
        select case
                   when place.kind = 'never' then 'not_dialable'
                   when not coalesce(entry.allowed, true) then 'destination_not_allowed'
                   when is_simulated() and place.kind in ('ordinary', 'unknown', 'test') then 'open'
                   when entry.allowed and place.kind in ('ordinary', entry.kind) then 'open'
                   when place.kind = 'ordinary' and place.region = business_country($2, business.default_region)
                       then 'open'
                   else 'destination_not_allowed'
               end
          from number_place($1) as place
          left join business on business.id = $2
          left join destination_entry($1, place.region, $2) as entry on true
    ), 'not_dialable'), 'open')
$$;
