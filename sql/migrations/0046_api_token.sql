-- The tokens of the API, and the answers to its writing requests that a client may repeat.
-- depends: 0045_parts_of_statements

do $$
begin
    -- Asked for again and again: behind a lock that is waited for, everybody waits.
    for attempt in 1..100 loop
        begin
            perform set_config('lock_timeout', '500ms', true);
            lock table business in share row exclusive mode;
            exit;
        exception
            when lock_not_available or deadlock_detected then
                if attempt = 100 then
                    raise;
                end if;
                perform pg_sleep(0.1);
        end;
    end loop;
    create table if not exists api_token (
        id            bigint generated always as identity primary key,
        public_id     text not null unique check (public_id ~ '^[a-z2-7]{8}$'),
        secret_sha256 bytea not null check (octet_length(secret_sha256) = 32),
        name          text not null check (char_length(name) between 1 and 100),
        business_id   bigint null references business (id) on delete cascade,
        scopes        text[] not null check (cardinality(scopes) > 0),
        created_by    text not null,
        created_at    timestamptz not null default now(),
        expires_at    timestamptz null,
        revoked_at    timestamptz null,
        last_used_at  timestamptz null,
        -- What concerns every business is for tokens of no business.
        constraint api_token_operator_is_of_no_business check (business_id is null or not scopes @> '{operator}')
    );
    create index if not exists api_token_business on api_token (business_id);
end
$$;

create table if not exists api_request (
    token_id    bigint not null references api_token (id) on delete cascade,
    key         text not null check (char_length(key) between 1 and 255),
    body_sha256 bytea not null check (octet_length(body_sha256) = 32),
    status      integer null,
    answer      jsonb null,
    at          timestamptz not null default now(),
    primary key (token_id, key)
);
do $$
begin
    create index if not exists api_request_age on api_request (at);  -- of a table that nobody has used
end
$$;

comment on table api_token is
'A bearer token of the API. Written by the commands and the operations for tokens; revoked ones stay.';
comment on column api_token.id is 'Number, in the order of making.';
comment on column api_token.public_id is
'The part of the token that names it: 8 characters of base32, in logs and in the audit.';
comment on column api_token.secret_sha256 is 'SHA-256 of the whole token, which is kept nowhere.';
comment on column api_token.name is 'What people call it, 1 to 100 characters.';
comment on column api_token.business_id is 'The one business whose rows it may see and change; null for all.';
comment on column api_token.scopes is
'What it may do: calls:read, calls:write, campaigns, control, ... (outbound/rules/api_token.py).';
comment on column api_token.created_by is 'Who made it, as the audit names them.';
comment on column api_token.created_at is 'When it was made.';
comment on column api_token.expires_at is 'From when on it is refused; null for never.';
comment on column api_token.revoked_at is 'When it was revoked: it is refused from 5 s later on at the latest.';
comment on column api_token.last_used_at is 'When it was last shown, to the minute; null for never.';
comment on table api_request is
'An answer of the API for repeats with the same Idempotency-Key; written with the effect, kept for 72 hours.';
comment on column api_request.token_id is 'The token that sent the request: each has keys of its own.';
comment on column api_request.key is 'The client''s Idempotency-Key, 1 to 255 characters.';
comment on column api_request.body_sha256 is
'SHA-256 of method, path and body: another request with this key is refused.';
comment on column api_request.status is 'HTTP status of the answer.';
comment on column api_request.answer is 'Body of the answer.';
comment on column api_request.at is 'When the request came.';
