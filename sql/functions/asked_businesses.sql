-- The business that is asked for, found by its key; every business where none is.
create or replace function asked_businesses(in_business bigint) returns table (id bigint)
language sql stable
as $$
    select business.id from business where business.id = in_business
     union all
    select business.id from business where in_business is null
$$;
