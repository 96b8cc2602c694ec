-- destination.sql: where calls may go.  Read by outbound/rules/destination.py alone.
-- The claim (call_obstacle), begin_dials and enqueue_calls read these tables (destination_fault).  The statement that
-- changes one writes the audit too.

-- name: find_place(place)$
-- Returns  the kind of numbers that an entry for this place is about (number_kind); `ordinary` where kinds differ, `never`
--          where nothing may be dialed; nothing where there are no numbers
select kind from destination_at(:place);

-- name: set_destination(business_id, place, allowed, reason, who)^
-- Allow or close a destination, for one business or for everybody; an entry that is there says the new word.
--
-- Returns  what the entry is about, and what it was before (`was`); nothing where there is no such business
-- Races    a claim that saw the old word is looked at again before its dial (begin_dials)
-- Undo     remove_destination; calls that were refused meanwhile stay canceled
with whose as (
    select :business_id::bigint as id
     where :business_id::bigint is null or exists (select from business where id = :business_id)
), was as (
    select destination.allowed
      from whose
     inner join destination
        on coalesce(destination.business_id, 0) = coalesce(whose.id, 0) and destination.place = :place
), entry as (
    insert into destination as entry (business_id, place, allowed, reason)
    select id, :place, :allowed, :reason from whose
    on conflict (coalesce(business_id, 0), place) do update set allowed = excluded.allowed, reason = excluded.reason
    returning entry.*
), audited as (
    insert into audit (who, action, scope, key, details)
    select :who, case when entry.allowed then 'allow_destination' else 'deny_destination' end,
           case when business_id is null then 'account' else 'business' end, coalesce(business_id::text, ''),
           jsonb_build_object('place', place, 'kind', kind, 'reason', reason, 'was', (select allowed from was))
      from entry
)
select entry.kind, (select allowed from was) as was from entry;

-- name: remove_destination(business_id, place, who)$
-- Take the entry of exactly this place and business away; what else is known of the numbers there counts again.
--
-- Returns  how many entries that were, none or one
with removed as (
    delete from destination
     where coalesce(business_id, 0) = coalesce(:business_id::bigint, 0) and place = :place
    returning *
), audited as (
    insert into audit (who, action, scope, key, details)
    select :who, 'remove_destination', case when business_id is null then 'account' else 'business' end,
           coalesce(business_id::text, ''), to_jsonb(removed)
      from removed
)
select count(*) from removed;

-- name: list_destinations()
-- Returns  every entry, those for everybody first
select destination.id, business_id, business.name as business, place, allowed, kind, reason, destination.created_at
  from destination
  left join business on business.id = business_id
 order by business_id nulls first, place;

-- name: find_number(phone, business_id)^
-- Returns  country and kind of a number, and why this business may not call it: `fault` and a `sentence`, NULL where it
--          may; nothing where there is no such business
select place.region, place.kind, verdict.fault, destination_sentence(:phone, business.id) as sentence
  from business
 cross join destination_fault(:phone, business.id) as verdict
  left join number_place(:phone) as place on true
 where business.id = :business_id;
