-- tenant_view.sql: what a token of one business is shown.  Read by outbound/api/tenant_view.py alone.

-- name: own_tokens(business_id)
-- Returns  the public ids of the business's tokens, also of those that were revoked
select public_id from api_token where business_id = :business_id;

-- name: stopped_by(call_id)$
select stopped_by from call_log where id = :call_id;
