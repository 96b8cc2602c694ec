-- Is an error of this SQLSTATE one that a row raises by what it holds?  Else the server, or the schema, is at fault.
create or replace function is_of_a_row(state text) returns boolean
language sql immutable parallel safe
return left(state, 2) in ('21', '22', '23', '54', 'P0', 'XX');
