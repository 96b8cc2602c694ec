-- set_aside.sql: a call that raises wherever it is touched.  Read by outbound/calls/set_aside.py alone.

-- name: set_aside(call_id, step, state, message)$
-- Close it, where it can be closed, and keep it out of every later step.
--
-- Moves    queued, claimed, initiated, ringing, in-progress -> failed, with the code odd_row
-- Returns  was it not set aside before
-- Undo     a later word of the carrier moves it on (events.sql)
select set_aside(:call_id, :step, :state, :message);
