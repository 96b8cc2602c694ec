-- enqueue.sql: put calls in the queue, once each.  Read by outbound/enqueue.py alone.

-- name: enqueue_call(business_id, from_number, to_number, due_at, idempotency_key)^
-- Put one call in the queue, in the caller's own transaction, and wake the dispatchers when that commits.
--
-- Moves    (nothing) -> queued
-- Returns  the call, `created` false where the key or a live call to this number was there already; `key_of_another`
--          true where the key belongs to a call of another number; `borrowed` true, and nothing else, where from_number
--          is another business's; nothing at all where the other call was committed in the same instant: ask again
-- Races    two enqueues of one call: the unique indexes let one in, and both get its id
with owner as (
    select exists (select from business_number where phone = :from_number and business_id <> :business_id) as borrowed
), inserted as (
    insert into call_log (business_id, direction, from_number, to_number, status, due_at, idempotency_key)
    select :business_id, 'outbound', :from_number, :to_number, 'queued', coalesce(:due_at, now()), :idempotency_key
      from owner
     where not borrowed
    on conflict do nothing
    returning id, status
), woken as (
    select pg_notify('outbound_due', '') from inserted
)
select inserted.id, inserted.status, true as created, false as borrowed, false as key_of_another
  from inserted, woken
union all
(select id, status, false, false, coalesce(idempotency_key = :idempotency_key and to_number <> :to_number, false)
   from call_log
  where not exists (select from inserted)
    and not (select borrowed from owner)
    and business_id = :business_id
    and (idempotency_key = :idempotency_key
         or (to_number = :to_number and direction = 'outbound'
             and status in ('queued', 'claimed', 'initiated', 'ringing', 'in-progress')))
  order by idempotency_key = :idempotency_key desc nulls last
  limit 1)
union all
select null, null, false, true, false from owner where borrowed;

-- name: enqueue_calls(business_ids, from_numbers, to_numbers, due_ats, idempotency_keys)^
-- Put a batch of calls in the queue; those that are there already are left as they are.
--
-- Moves    (nothing) -> queued
-- Returns  how many were inserted
-- Races    other enqueues: the unique indexes let one in.  Sorted by number, so that two imports of the same numbers wait
--          for each other instead of locking each other out; one order cannot serve both indexes, and where the same
--          keys come with other numbers PostgreSQL may give one of the two up: run it again
with given as (
    select *
      from unnest(:business_ids::bigint[], :from_numbers::text[], :to_numbers::text[],
                  :due_ats::timestamptz[], :idempotency_keys::text[])
        as given (business_id, from_number, to_number, due_at, idempotency_key)
), inserted as (
    insert into call_log (business_id, direction, from_number, to_number, status, due_at, idempotency_key)
    select business_id, 'outbound', from_number, to_number, 'queued', coalesce(due_at, now()), idempotency_key
      from given
     where not exists (select from business_number
                        where phone = given.from_number and business_id <> given.business_id)
     order by business_id, to_number, idempotency_key
    on conflict do nothing
    returning id
), counted as (
    select count(*) as created from inserted
)
select created, case when created > 0 then pg_notify('outbound_due', '') end as woken from counted;

-- name: keys_of_other_numbers(business_ids, to_numbers, idempotency_keys)
-- Returns  what was given of those whose key belongs to a call of another number: they are in nobody's queue
select given.business_id, given.to_number, given.idempotency_key
  from unnest(:business_ids::bigint[], :to_numbers::text[], :idempotency_keys::text[])
    as given (business_id, to_number, idempotency_key)
 inner join call_log using (business_id, idempotency_key)
 where call_log.to_number <> given.to_number;

-- name: numbers_of_others(business_ids, from_numbers)
-- Returns  the pairs in which the number belongs to another business: nobody calls with a neighbour's number
select distinct given.business_id, given.from_number
  from unnest(:business_ids::bigint[], :from_numbers::text[]) as given (business_id, from_number)
  inner join business_number on phone = given.from_number and business_number.business_id <> given.business_id;

-- name: find_business(business_id)^
-- Returns  what is needed to know of a business before it calls, or nothing
select id, time_zone, default_region,
       voice_url is not null or twiml is not null as can_speak,
       (select phone
          from business_number
         where business_id = business.id
         order by created_at, phone
         limit 1) as own_number
  from business
 where id = :business_id;
