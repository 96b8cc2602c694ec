create or replace function callee_zones(to_number text, stated text) returns text[]
language sql stable parallel restricted
return case
    -- A zone that the server knew once and does not know any more is none: it must not stop everybody's claim.
    when stated is not null then case when is_time_zone(stated) then array[stated] else '{}' end
    else coalesce((select phone_zone.zones
                     from generate_series(1, length(to_number) - 1) as digits
                    inner join phone_zone on phone_zone.prefix = substr(to_number, 2, digits)
                    order by digits desc
                    limit 1), '{}')
end;
