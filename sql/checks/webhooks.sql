-- webhooks.sql: who is to receive events.  Read by outbound/checks/webhooks.py alone.

-- name: endpoints()
-- Returns  each endpoint, and whether it takes what it is sent
select id, url, state, state_reason, failures, failing_since from webhook_endpoint order by id;
