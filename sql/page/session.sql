-- session.sql: browsers that are signed in.  Read by outbound/page/session.py alone.

-- name: begin_session(secret_sha256, before_sha256, token_id, hours)$
-- Sign a browser in; the session that it had before goes, and sessions that have ended.
--
-- Returns  when it ends: after so many hours, or with its token
with ended as (
    delete from page_session where expires_at < now() or secret_sha256 = :before_sha256
)
insert into page_session (secret_sha256, token_id, expires_at)
select :secret_sha256, id, least(now() + make_interval(hours => :hours), expires_at)
  from api_token
 where id = :token_id
returning expires_at;

-- name: find_sessions(secrets_sha256)
-- Returns  the token of each of these sessions that has not ended, where that one is live, as one JSON object
select to_jsonb(one) from page_sessions(:secrets_sha256::bytea[]) as one;

-- name: end_session(secret_sha256)!
-- Sign a browser out.
delete from page_session where secret_sha256 = :secret_sha256;
