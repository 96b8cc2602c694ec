-- After how many seconds the carrier hangs up: what the campaign says, else what this session's settings say
-- (pin_session); a session that says nothing may have set it to a day.
create or replace function call_limit_s(own integer) returns integer
language sql stable
return coalesce(own, nullif(current_setting('outbound.time_limit_s', true), '')::integer, 86400);
