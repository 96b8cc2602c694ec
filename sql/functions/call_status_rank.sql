-- How far along its life a call is; a status only moves to a higher rank.  NULL for a word we do not know.
create or replace function call_status_rank(status text) returns integer
language sql immutable parallel safe
return case
    when status = 'queued' then 0
    when status = 'claimed' then 1
    when status = 'initiated' then 2
    when status = 'ringing' then 3
    when status = 'in-progress' then 4
    when status in ('completed', 'busy', 'no-answer', 'failed', 'canceled') then 5
end;
