-- The digest of what may be erased of an entry, so that the chain holds when it was.
create or replace function audit_content(who text, key text, details jsonb) returns bytea
language sql stable parallel safe
return sha256(convert_to(jsonb_build_array(who, key, details)::text, 'UTF8'));
