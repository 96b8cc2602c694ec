-- When a call is due, as sentences have it, by the clocks of call_zone.
create or replace function due_text(call call_log) returns text
language sql stable
return moment_text(call.due_at, call_zone(call.to_number, call.time_zone, call.business_id));
