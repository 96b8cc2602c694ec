-- In which zone a call's moments are shown: the callee's where there is exactly one, else its business's.
create or replace function call_zone(to_number text, stated text, business_id bigint) returns text
language sql stable
as $$
    select coalesce(case when cardinality(zones) = 1 then zones[1] end,
                    (select present_zone(time_zone) from business where id = $3),
                    'UTC')
      from (select callee_zones($1, $2) as zones) as callee
$$;
