-- api_token.sql: the tokens of the API.  Read by outbound/rules/api_token.py alone.

-- name: add_token(public_id, secret_sha256, name, business_id, scopes, life_days, who)^
-- Make a token that may do no more than is said; the audit names who made it.
--
-- Returns  its `id`, `created_at` and `expires_at`; no row where there is no such business
-- Undo     revoke_token
with added as (
    insert into api_token (public_id, secret_sha256, name, business_id, scopes, expires_at, created_by)
    select :public_id, :secret_sha256, :name, :business_id, :scopes::text[],
           now() + make_interval(days => :life_days::integer), :who
     where :business_id::bigint is null or exists (select from business where id = :business_id)
    returning id, created_at, expires_at
), noted as (
    insert into audit (who, action, scope, key, details)
    select :who, 'token.add', 'api_token', :public_id,
           jsonb_build_object('name', :name::text, 'business_id', :business_id::bigint, 'scopes', :scopes::text[],
                              'expires_at', expires_at)
      from added
)
select id, created_at, expires_at from added;

-- name: use_token(public_id)^
-- Returns  the token, and is_live: neither revoked nor expired; its last use is noted to the minute
with token as (
    select id, public_id, secret_sha256, name, business_id, scopes, expires_at, last_used_at,
           revoked_at is null and coalesce(expires_at > now(), true) as is_live
      from api_token
     where public_id = :public_id
), used as (
    update api_token
       set last_used_at = now()
      from token
     where api_token.id = token.id
       and is_live
       and coalesce(token.last_used_at < now() - interval '1 min', true)
)
select id, public_id, secret_sha256, name, business_id, scopes, expires_at, is_live from token;

-- name: list_tokens(business_id)
-- Returns  all tokens, or one business's, the newest first; without their hashes
select api_token.id, public_id, api_token.name, business_id, business.name as business, scopes, created_by,
       api_token.created_at, expires_at, revoked_at, last_used_at,
       revoked_at is null and coalesce(expires_at > now(), true) as is_live
  from api_token
  left join business on business.id = business_id
 where :business_id::bigint is null or business_id = :business_id
 order by api_token.id desc;

-- name: revoke_token(token, business_id, within, who)^
-- Refuse a token from now on; processes that know it take it 5 s longer.
--
-- Args     `token` is its id or its public_id; with a business, only a token of that one; with `within`, only one
--          that may do no more
-- Returns  its `public_id` and name, and `is_new`: it was not revoked before; no row where there is no such token
-- Undo     none: make another one
with token as (
    select id, public_id, name, revoked_at is null as is_new
      from api_token
     where (id::text = :token or public_id = :token)
       and (:business_id::bigint is null or business_id = :business_id)
       and (:within::text[] is null or scopes <@ :within::text[])
       for update
), revoked as (
    update api_token set revoked_at = now() from token where api_token.id = token.id and is_new
), noted as (
    insert into audit (who, action, scope, key, details)
    select :who, 'token.revoke', 'api_token', public_id, jsonb_build_object('name', name) from token where is_new
)
select public_id, name, is_new from token;
