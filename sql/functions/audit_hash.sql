-- The hash of a link: of the link before, the digest of the content, and the rest of the entry.
create or replace function audit_hash(
    before bytea, place bigint, source text, entry_id bigint, at timestamptz, db_user text, os_user text, action text,
    scope text, content bytea
) returns bytea
language sql stable parallel safe
return sha256(before || content
              || convert_to(jsonb_build_array(place, source, entry_id, (extract(epoch from at) * 1000000)::bigint,
                                              db_user, os_user, action, scope)::text, 'UTF8'));
