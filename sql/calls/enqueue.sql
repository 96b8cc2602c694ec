-- enqueue.sql: put calls in the queue, once each.  Read by outbound/calls/enqueue.py, import_calls.py and import_writer.py.

-- name: enqueue_calls(campaign_id, batch_businesses, batch_ids, again, dry, business_ids, from_numbers, to_numbers, due_ats, idempotency_keys, contacts, time_zones)
-- Put calls in the queue, in the caller's own transaction, and wake the dispatchers when that commits.  Calls that are
-- there already are left as they are, and what must not be is left out.  Without a from-number, the campaign's that
-- suits the callee calls.
--
-- The calls of a business are of the batch that stands beside its id in `batch_businesses` and `batch_ids`, which
-- reaches a telephone once.  Who was called in the hours to which the business looks back is held out, unless `again`.
-- With `dry` nothing is written, and the rest of the answer is the same.
--
-- Moves    (nothing) -> queued
-- Returns  one row with how many were `created`, the moment `at` which is theirs, and beside each other their `ids`,
--          `businesses` and `numbers`; then of each that was left out its `place` in what was given, from 1, and the
--          `fault`: own_number (the business would call itself), forgotten (a person who asked for it), no_number,
--          borrowed (from_number is another business's), no_such_zone or no_zone (nobody knows the callee's), what
--          destination_fault says, with a sentence in `about`; reached (by a call of this batch that is deleted by now)
--          or lately (called)
-- Races    other enqueues: the unique indexes let one in.  Sorted by number, so that two imports of the same numbers wait
--          for each other instead of locking each other out; one order cannot serve all indexes, and where the same
--          keys come with other numbers PostgreSQL may give one of the two up: run it again
with given as (
    select given.*,
           coalesce(from_number,
                    case
                        when (select count(*) from campaign_number where campaign_id = :campaign_id) > 1
                            then campaign_from_number(:campaign_id, to_number, 1)
                        -- One number suits every callee: it is looked up once.
                        else (select campaign_from_number(:campaign_id, '', 1))
                    end) as caller
      from unnest(:business_ids::bigint[], :from_numbers::text[], :to_numbers::text[], :due_ats::timestamptz[],
                  :idempotency_keys::text[], :contacts::jsonb[], :time_zones::text[])
        with ordinality
        as given (business_id, from_number, to_number, due_at, idempotency_key, contact, time_zone, place)
), hours as materialized (
    select business_id, call_windows(business_id, :campaign_id) as window_ids, batch.id as batch_id,
           exists (select from batch_reached where batch_reached.batch_id = batch.id) as has_reached,
           case
               when not :again and look_back_hours > 0 then now() - make_interval(hours => look_back_hours)
           end as looks_back_to
      from (select distinct business_id from given) as whose
     inner join business on business.id = business_id
      left join unnest(:batch_businesses::bigint[], :batch_ids::bigint[]) as batch (of_business, id)
        on of_business = business_id
), own as materialized (
    select distinct business_id, phone_key(phone) as own_key from business_number inner join hours using (business_id)
), stated as materialized (
    select time_zone, present_zone(time_zone) is not null as is_known
      from (select distinct time_zone from given where time_zone is not null) as named
), placed as materialized (
    select given.*, batch_id, has_reached, looks_back_to,
           case when window_ids <> '{}' and time_zone is null then left(to_number, 5) end as head
      from given inner join hours using (business_id)
), heads as materialized (
    -- Many callees share one.  Materialized, or each callee would be asked for.
    select distinct head from placed where head is not null
), doubtful as materialized (
    -- Behind the others everybody has a zone.
    select head
      from heads
     where callee_zones(head, null) = '{}'
        or exists (select from phone_zone where zones = '{}' and starts_with('+' || prefix, head))
), beginning as materialized (
    -- Numbers that begin alike and are as long are nearly all of one range, and the same counts for all of them.
    select business_id, left(to_number, 6) as digits, length(to_number) as characters, min(to_number) as to_number
      from given
     group by 1, 2, 3
), alike as materialized (
    select beginning.business_id, beginning.digits, beginning.characters, common.fault
      from beginning
     cross join lateral destination_fault_of_alike(beginning.to_number, beginning.business_id) as common
), judged as materialized (
    select placed.*,
           case
               when own_key is not null or phone_key(caller) = phone_key(to_number) then 'own_number'
               when exists (select from forgotten) and is_forgotten(to_number) then 'forgotten'
               when caller is null then 'no_number'
               when business_number.business_id <> placed.business_id then 'borrowed'
               when not stated.is_known then 'no_such_zone'
               when doubtful.head is not null and callee_zones(to_number, null) = '{}' then 'no_zone'
               when alike.digits is not null then alike.fault
               else (select destination.fault from destination_fault(to_number, placed.business_id) as destination)
           end as fault
      from placed
      left join stated using (time_zone)
      left join doubtful using (head)
      left join business_number on business_number.phone = caller
      left join alike
        on alike.business_id = placed.business_id
       and alike.digits = left(to_number, 6)
       and alike.characters = length(to_number)
      left join own on own.business_id = placed.business_id and own_key = phone_key(to_number)
), decided as materialized (
    select judged.business_id, judged.to_number, due_at, idempotency_key, contact, time_zone, place, caller, batch_id,
           case
               when fault is not null then fault
               when has_reached and exists (select from reached_by(judged.batch_id, judged.to_number)) then 'reached'
               -- A scalar with a limit is looked up for each callee; `exists` might read every call of the time.
               when looks_back_to is not null
                    and (select true from dialed_since(judged.business_id, judged.to_number, looks_back_to) limit 1)
                   then 'lately'
           end as fault
      from judged
), inserted as (
    insert into call_log (business_id, campaign_id, direction, from_number, to_number, status, due_at, idempotency_key,
                          contact, time_zone, batch_id)
    select business_id, :campaign_id, 'outbound', caller, to_number, 'queued', coalesce(due_at, now()), idempotency_key,
           contact, time_zone, batch_id
      from decided
     where fault is null and not :dry
     order by business_id, phone_key(to_number) collate "C", idempotency_key collate "C"
    on conflict do nothing
    returning id, business_id, to_number
), woken as (
    select pg_notify('outbound_due', '') where exists (select from inserted)
)
select created, now() as at, ids, businesses, numbers, null::bigint as place, null as fault, null as about
  from (select count(*) as created, array_agg(id) as ids, array_agg(business_id) as businesses,
               array_agg(to_number) as numbers from inserted) as done
  left join woken on true
union all
select 0, null, null, null, null, place, fault,
       case when fault in ('not_dialable', 'destination_not_allowed')
           then destination_sentence(to_number, business_id) end
  from decided
 where fault is not null;

-- name: find_calls(business_ids, to_numbers, idempotency_keys, due_ats, batch_businesses, batch_ids, created_ats)
-- Say what is there of each call that was given: a call of the same key, a live one to the same telephone, one of the same
-- batch, or else the last one that was dialed to it.
--
-- Returns  of each its `place`, from 1; the `telephone`, in the one form that stands for it; `id` and `status` of the call
--          that keeps it out, or NULL; `has_key` true where that has this very key, and `key_of_another` where it is a call
--          of another telephone; `live_status` and `live_due_at` of the live one; `is_twin` true where the batch's own was
--          created at one of `created_ats`; `keeps_time` true where it waits for another moment than was given now;
--          `dialed_id` and `dialed_at` of the last one dialed
select given.place, phone_key(given.to_number) as telephone, coalesce(keyed.id, live.id, reached.id) as id,
       coalesce(keyed.status, live.status, reached.status) as status, keyed.id is not null as has_key,
       phone_key(keyed.to_number) <> phone_key(given.to_number) as key_of_another,
       live.status as live_status, live.due_at as live_due_at,
       coalesce(reached.created_at = any(:created_ats::timestamptz[]), false) as is_twin,
       coalesce(
           live.status = 'queued' and live.held_by is null and live.attempt = 1
           and (live.due_at <> given.due_at or given.due_at is null and live.due_at > now()),
           false
       ) as keeps_time,
       dialed.id as dialed_id, dialed.dialed_at
  from unnest(:business_ids::bigint[], :to_numbers::text[], :idempotency_keys::text[], :due_ats::timestamptz[])
       with ordinality as given (business_id, to_number, idempotency_key, due_at, place)
  left join unnest(:batch_businesses::bigint[], :batch_ids::bigint[]) as batch (of_business, id)
    on of_business = given.business_id
  left join lateral (
       select id, status, to_number
         from call_log
        where business_id = given.business_id and idempotency_key = given.idempotency_key
        limit 1
 ) as keyed on true
  left join lateral (
       select id, status, due_at, held_by, attempt from live_call(given.business_id, given.to_number) limit 1
 ) as live on true
  left join lateral (
       select id, status, created_at
         from call_log
        where batch_id = batch.id and phone_key(to_number) = phone_key(given.to_number) and retry_of is null
        limit 1
 ) as reached on true
  left join lateral (
       select id, dialed_at
         from call_log
        where business_id = given.business_id
          and phone_key(to_number) = phone_key(given.to_number)
          and direction = 'outbound'
          and dialed_at is not null
        order by dialed_at desc
        limit 1
 ) as dialed on true
 order by given.place;

-- name: open_batch(business_id, campaign_id, name, sha256, is_given)^
-- The batch of this name in the campaign, or else in the business; made where there is none.  Where nobody gave the name,
-- the file's own, a batch into which the same content was imported before is the one.
--
-- Returns  its `id` and `name`, and is it new
-- Races    another import of the same: the unique index makes it one
-- Undo     none: it says nothing by itself
with same as (
    select name
      from batch
     where business_id = :business_id
       and campaign_id is not distinct from :campaign_id
       and not :is_given
       and :sha256::text = any(contents)
     order by name <> :name, id
     limit 1
)
insert into batch (business_id, campaign_id, name, contents)
select :business_id, :campaign_id, coalesce((select name from same), :name), array[:sha256::text]
on conflict (business_id, coalesce(campaign_id, 0), name) do update
   set imported_at = now(),
       contents = case
           when cardinality(batch.contents) < 100
               then array_remove(batch.contents, :sha256::text) || array[:sha256::text]
           else array[:sha256::text]
       end
returning id, name, created_at = imported_at as is_new;

-- name: find_batch(business_id, campaign_id, name, sha256, is_given)^
-- The batch that open_batch would give, or nothing where it would make one.  Changes nothing.
select id, name, false as is_new
  from batch
 where business_id = :business_id
   and campaign_id is not distinct from :campaign_id
   and (name = :name or not :is_given and :sha256::text = any(contents))
 order by :sha256::text = any(contents) and not :is_given desc, name <> :name, id
 limit 1;

-- name: find_callers(business_ids, campaign_ids)
-- Returns  of each business, and its campaign, its `place` in what was given, from 1, and what is needed to know before it
--          calls; nothing of one that is not there.  `campaign_id` is NULL where the campaign is not this business's.
--          Without a business, the campaign says whose it is
select place, business.id, business.time_zone, business.default_region, campaign.id as campaign_id,
       coalesce(campaign.ends_at <= now(), false) as has_ended,
       campaign_from_number(campaign.id, '', 1) is not null as campaign_calls,
       coalesce(campaign.voice_url, campaign.twiml, business.voice_url, business.twiml) is not null as can_speak,
       case
           when coalesce(campaign.voice_url, campaign.twiml) is not null then campaign.twiml
           when business.voice_url is null then business.twiml
       end as twiml,
       (select phone
          from business_number
         where business_id = business.id
         order by created_at, phone
         limit 1) as own_number
  from unnest(:business_ids::bigint[], :campaign_ids::bigint[])
       with ordinality as asked (business_id, campaign_id, place)
 inner join business
    on business.id = coalesce(asked.business_id, (select campaign.business_id
                                                    from campaign
                                                   where campaign.id = asked.campaign_id))
  left join campaign on campaign.id = asked.campaign_id and campaign.business_id = business.id;

-- name: zones_of_callees(to_numbers)
-- Returns  of each number whose zone it tells, the `number` and its `zone`
select number, zones[1] as zone
  from (select distinct number from unnest(:to_numbers::text[]) as given (number)) as callee
 cross join lateral (select callee_zones(number, null) as zones) as told
 where cardinality(zones) = 1;

-- name: note_import(who, scope, key, details)!
-- A file of calls was read, to its end or as far as that went.
insert into audit (who, action, scope, key, details) values (:who, 'import_calls', :scope, :key, :details);
