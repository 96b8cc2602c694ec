-- The time zones in which this callee may be: the one that was stated, else those of the number's prefix; '{}' where
-- it does not follow from the number.  The longest prefix that fits decides; none has more than nine digits.
create or replace function callee_zones(to_number text, stated text) returns text[]
language sql stable parallel restricted
return case
    -- A zone that the server knew once and does not know any more is none: it must not stop everybody's claim.
    when stated is not null then array_remove(array[present_zone(stated)], null)
    else coalesce((select phone_zone.zones
                     from phone_zone
                    where prefix = any(array[substr(to_number, 2, 1), substr(to_number, 2, 2), substr(to_number, 2, 3),
                                             substr(to_number, 2, 4), substr(to_number, 2, 5), substr(to_number, 2, 6),
                                             substr(to_number, 2, 7), substr(to_number, 2, 8), substr(to_number, 2, 9)])
                    order by length(prefix) desc
                    limit 1), '{}')
end;
