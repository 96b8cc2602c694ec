-- Whose a scope is; NULL of the account and of a from-number that no business has.
create or replace function scope_business(scope text, key text) returns bigint
language sql stable
as $$
    select case
               when $1 = 'business' then $2::bigint
               when $1 = 'campaign' then (select business_id from campaign where id = scope_id($2))
               when $1 = 'number' then (select business_id from business_number where phone = $2)
           end
$$;
