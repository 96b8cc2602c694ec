-- reason.sql: why one call is not being dialed.  Read by outbound/calls/reason.py alone.

-- name: why(call_id)^
-- Returns  what the function why says, also of a call that does not exist: `unknown_call`
select why(:call_id::bigint)::text as answer;
