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

-- name: list_tokens(business_id, within, before_id, page_max)
-- Returns  a page of all tokens, or of one business's, the newest first, without their hashes; with `within` only those
--          that may do no more; all of them where page_max is NULL
with place as materialized (
    -- Where the planner does not know them, it takes each arm's index in its order; and where the order begins with the
    -- business, and the business is a range, no other index has it.
    select coalesce(:before_id::bigint, 9223372036854775807) as last_id, :page_max::bigint as most
), token as (
    (select *
       from api_token
      where business_id between :business_id::bigint and :business_id::bigint
        and (:within::text[] is null or scopes <@ :within::text[])
        and id < (select last_id from place)
      order by business_id desc, id desc
      limit (select most from place))
    union all
    (select *
       from api_token
      where :business_id::bigint is null
        and (:within::text[] is null or scopes <@ :within::text[])
        and id < (select last_id from place)
      order by id desc
      limit (select most from place))
)
select token.id, public_id, token.name, business_id,
       (select business.name from business where business.id = token.business_id) as business, scopes, created_by,
       token.created_at, expires_at, revoked_at, last_used_at,
       revoked_at is null and coalesce(expires_at > now(), true) as is_live
  from token
 order by token.id desc;

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
