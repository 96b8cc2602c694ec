-- The rows of control of these scopes, scopes[n] with keys[n]; NULL asks for every one.  Of scopes that are asked for, one
-- look by the key for each, whatever the planner takes their number for.
create or replace function chosen_scopes(scopes text[], keys text[]) returns setof dial_control
language sql stable
as $$
    select every_one.*
      from dial_control as every_one
     where scopes is null
    union all
    select found.*
      from unnest(scopes, keys) as asked (scope, key)
     cross join lateral (
           select *
             from dial_control as named
            where named.scope = asked.scope and named.key = asked.key
            limit 1
     ) as found
     where scopes is not null
$$;
