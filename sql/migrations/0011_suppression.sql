-- Whom nobody may call, who has agreed to be called, and when a do-not-call registry was last asked about whom.
-- squawk-ignore-file adding-foreign-key-constraint, ban-concurrent-index-creation-in-transaction
-- transactional: false
-- depends: 0010_phone_zone

-- What a build that was killed left behind is in nobody's use, and in the way of the next.
do $$
declare
    leftover text;
begin
    for leftover in
        select format('%I.%I', nspname, relname)
          from pg_index
         inner join pg_class on pg_class.oid = indexrelid
         inner join pg_namespace on pg_namespace.oid = relnamespace
         where not indisvalid
           and nspname = current_schema()
           and relname in (
                   'call_log_unchecked')
    loop
        execute 'drop index ' || leftover;
    end loop;
end
$$;

-- Without a business it holds for everybody; without a campaign, for all of the business's calls.
create table if not exists suppression (
    id          bigint generated always as identity primary key,
    phone       text not null check (phone ~ '^\+[1-9][0-9]{6,14}$'),
    business_id bigint null references business (id),
    campaign_id bigint null references campaign (id),
    reason      text not null default '',
    created_at  timestamptz not null default now(),
    check (campaign_id is null or business_id is not null)
);
create unique index if not exists suppression_once
    on suppression (phone, coalesce(business_id, 0), coalesce(campaign_id, 0));

-- The latest word of somebody to a business.  Who revoked what was never on record has no given_at, and keeps an older
-- consent that turns up afterwards from counting.
create table if not exists consent (
    business_id bigint not null references business (id),
    phone       text not null check (phone ~ '^\+[1-9][0-9]{6,14}$'),
    given_at    timestamptz null,
    expires_at  timestamptz null,
    revoked_at  timestamptz null,
    source      text not null default '',
    primary key (business_id, phone),
    check (given_at is not null or revoked_at is not null),
    check (expires_at > given_at)
);

-- What a do-not-call registry said of a number when it was last asked; a fact about the number, whoever asked.
create table if not exists registry_check (
    phone      text primary key check (phone ~ '^\+[1-9][0-9]{6,14}$'),
    checked_at timestamptz not null,
    is_listed  boolean not null
);

-- The calls that wait for such a check, by the number that was checked.
create index concurrently if not exists call_log_unchecked
    on call_log (to_number)
 where status = 'queued' and held_by = 'registry_check_old';

create or replace function is_suppressed(phone text, business_id bigint, campaign_id bigint) returns boolean
language sql stable parallel safe
return exists (
    select
      from suppression
     where suppression.phone = is_suppressed.phone
       and coalesce(suppression.business_id, is_suppressed.business_id) = is_suppressed.business_id
       and (suppression.campaign_id is null or suppression.campaign_id = is_suppressed.campaign_id)
);

create or replace function has_consent(business_id bigint, phone text) returns boolean
language sql stable parallel safe
return exists (
    select
      from consent
     where consent.business_id = has_consent.business_id
       and consent.phone = has_consent.phone
       and consent.revoked_at is null
       and consent.given_at <= now()
       and (consent.expires_at is null or consent.expires_at > now())
);
