-- How much a scope was served (dial_control.served), where that is a number of calls; NaN and infinity count as none.
create or replace function finite_service(served float8) returns float8
language sql immutable parallel safe
return case when served < 1e15 then served else 0 end;
