-- Open pages learn what goes on, and whether they are still signed in, by one statement.
-- depends: 0052_correction

-- The token of each of these sessions that has not ended, where that token is live.
create or replace function page_sessions(secrets_sha256 bytea[])
returns table (
    secret_sha256 bytea, id bigint, public_id text, name text, business_id bigint, scopes text[], expires_at timestamptz
)
language sql stable
as $$
    select page_session.secret_sha256, token.id, token.public_id, token.name, token.business_id, token.scopes,
           token.expires_at
      from page_session
     inner join api_token as token on token.id = page_session.token_id
     where page_session.secret_sha256 = any(secrets_sha256)
       and page_session.expires_at > now()
       and token.revoked_at is null
       and coalesce(token.expires_at > now(), true)
$$;

comment on function page_sessions(bytea[]) is
    'The token of each of some sessions of the page that have not ended.';
