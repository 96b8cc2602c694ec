-- Does an endpoint of these types receive events of this type?  No types are all but call.answered, which must be named.
create or replace function endpoint_wants(event_types text[], type text) returns boolean
language sql immutable
return case when $1 = '{}' then $2 <> 'call.answered' else $2 = any($1) end;
