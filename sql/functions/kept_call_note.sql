-- What is said to a request for `due_at` (NULL: now) that met a call which is there already and is not moved: it is under
-- way, or waits for `live_due`, another moment, as sentences have it; NULL of any other call.
create or replace function kept_call_note(status text, live_due text, due_at timestamptz) returns text
language sql immutable parallel safe
return case
    when $1 in ('claimed', 'initiated', 'ringing', 'in-progress') and $3 is null then 'the call is under way already'
    when $1 in ('claimed', 'initiated', 'ringing', 'in-progress')
        then '`at` changes nothing: the call is under way already'
    when $1 <> 'queued' then null
    when $3 is null then 'the call waits for ' || $2 || ' already: reschedule it to have it made now'
    else '`at` changes nothing: the call waits for ' || $2 || ' already; reschedule it to move it'
end;
