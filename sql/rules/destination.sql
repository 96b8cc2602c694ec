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

-- name: list_destinations(business_id, before_id, page_max)
-- Returns  a page of all entries, or of one business's and those for everybody, the newest first; all of them where
--          page_max is NULL
with place as materialized (
    -- Where the planner does not know them, it takes each arm's index in its order; and where the order begins with the
    -- business, and the business is a range, no other index has it.
    select coalesce(:before_id::bigint, 9223372036854775807) as last_id, :page_max::bigint as most, 0::bigint as nobody
), entry as (
    (select *
       from destination
      where coalesce(business_id, 0) between :business_id::bigint and :business_id::bigint
        and id < (select last_id from place)
      order by coalesce(business_id, 0) desc, id desc
      limit (select most from place))
    union all
    (select *
       from destination
      where coalesce(business_id, 0) between (select nobody from place) and (select nobody from place)
        and :business_id::bigint is not null
        and id < (select last_id from place)
      order by coalesce(business_id, 0) desc, id desc
      limit (select most from place))
    union all
    (select *
       from destination
      where :business_id::bigint is null and id < (select last_id from place)
      order by id desc
      limit (select most from place))
)
select entry.id, business_id,
       (select business.name from business where business.id = entry.business_id) as business, entry.place, allowed,
       kind, reason, entry.created_at
  from entry
 order by entry.id desc
 limit :page_max::bigint;

-- name: find_number(phone, business_id)^
-- Returns  country and kind of a number, and why this business may not call it: `fault` and a `sentence`, NULL where it
--          may; nothing where there is no such business
select place.region, place.kind, verdict.fault, destination_sentence(:phone, business.id) as sentence
  from business
 cross join destination_fault(:phone, business.id) as verdict
  left join number_place(:phone) as place on true
 where business.id = :business_id;
