-- When a call was, for people who look for it: when it ended, was dialed, or is due.
create or replace function call_moment(call call_log) returns timestamptz
language sql stable parallel safe
return case
    when call.status in ('queued', 'claimed') then call.due_at
    when call.status in ('initiated', 'ringing', 'in-progress') then coalesce(call.dialed_at, call.created_at)
    else coalesce(call.ended_at, call.created_at)
end;
