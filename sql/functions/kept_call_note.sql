-- What is said to a request that met a call which is there already and is not moved: it is under way, or waits for
-- `live_due`, another moment than was given (`is_for_now`: none was), as sentences have it; NULL of any other call.
create or replace function kept_call_note(status text, live_due text, is_for_now boolean) returns text
language sql immutable parallel safe
return case
    when $1 in ('claimed', 'initiated', 'ringing', 'in-progress') then 'the call is under way already'
    when $1 = 'queued' and $3 then 'the call waits for ' || $2 || ' already: reschedule it to have it made now'
    when $1 = 'queued' then '`at` changes nothing: the call waits for ' || $2 || ' already; reschedule it to move it'
end;
