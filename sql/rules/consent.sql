-- consent.sql: who agreed to be called.  Read by outbound/rules/consent.py alone.
-- The claim (call_obstacle) and begin_dials read this table before each dial.  The statement that changes one writes
-- the audit too: of a file, one row for each chunk that brought something new.  A number stands for its
-- telephone, in whichever form it is written (phone_key).  One that was forgotten is never written again: triggers see to
-- that, and such a row counts as there already.

-- name: is_forgotten(phone)$
select is_forgotten(:phone);

-- name: give_consents(business_id, phones, given_ats, expires_ats, sources, who, action, details)$
-- People agree to be called by a business.  The latest word counts: what was given before the consent on record, or
-- before its revocation, changes nothing.
--
-- Returns  how many consents are new, or newer than those on record
-- Races    imports of the same numbers: sorted
with given as (
    select distinct on (phone_key(phone)) phone, given_at, expires_at, source
      from unnest(:phones::text[], :given_ats::timestamptz[], :expires_ats::timestamptz[], :sources::text[])
        as given (phone, given_at, expires_at, source)
     order by phone_key(phone) asc, given_at desc, expires_at asc
), written as (
    insert into consent (business_id, phone, given_at, expires_at, source)
    select :business_id, phone, given_at, expires_at, source from given order by phone_key(phone)
    on conflict (business_id, phone_key(phone)) do update
       set given_at = excluded.given_at,
           expires_at = excluded.expires_at,
           source = excluded.source,
           revoked_at = null
     where greatest(consent.given_at, consent.revoked_at) < excluded.given_at
    returning phone
), total as (
    select count(*) as consents from written
), audited as (
    insert into audit (who, action, scope, key, details)
    select :who, :action, 'business', :business_id::text, :details::jsonb || jsonb_build_object('new', consents)
      from total
     where consents > 0
)
select consents from total;

-- name: revoke_consent(business_id, phone, who)$
-- Somebody no longer agrees, or never did.  Calls of campaigns that demand consent end at their claim.
--
-- Returns  1, or 0 where it was revoked already
-- Undo     a consent that is given later
with revoked as (
    insert into consent (business_id, phone, revoked_at)
    values (:business_id, :phone, now())
    on conflict (business_id, phone_key(phone)) do update set revoked_at = now() where consent.revoked_at is null
    returning phone, given_at, expires_at, source
), audited as (
    insert into audit (who, action, scope, key, details)
    select :who, 'revoke_consent', 'business', :business_id::text, to_jsonb(revoked) from revoked
)
select count(*) from revoked;
