-- tenant_view.sql: what a token of one business is shown.  Read by outbound/api/tenant_view.py alone.

-- name: own_tokens(business_id)
-- Returns  the public ids of the business's tokens, also of those that were revoked
select public_id from api_token where business_id = :business_id;

-- name: stopped_by(call_id)$
select stopped_by from call_log where id = :call_id;

-- name: keeps_to_window(business_id, window_id)$
-- Returns  does the business, or one of its campaigns, keep to this window
select exists (select from business where id = :business_id and window_id = :window_id)
    or exists (select from campaign where business_id = :business_id and window_id = :window_id);
