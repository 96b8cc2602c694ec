-- Businesses that may call nobody, as they have no region and no number, and no destination is allowed: this one, or the
-- first five.  With the simulator no destination is asked for.
create or replace function stranded_businesses(business_id bigint) returns table (id bigint, name text)
language sql stable
as $$
    select business.id, business.name
      from business
     where current_setting('outbound.carrier', true) is distinct from 'simulator'
       and coalesce(business.id = $1, true)
       and business_country(business.id, business.default_region) is null
       and not exists (select
                         from destination
                        where allowed
                          and coalesce(destination.business_id, business.id) = business.id)
     order by business.id
     limit 5
$$;
