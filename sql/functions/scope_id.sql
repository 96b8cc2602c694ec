-- The id of a business or a campaign that is a scope's key; NULL of a key that is none, as `of business 5`.
create or replace function scope_id(key text) returns bigint
language sql immutable parallel safe
return case when key ~ '^[0-9]{1,18}$' then key::bigint end;
