-- enqueue.sql: put calls in the queue, once each.  Read by outbound/calls/enqueue.py, import_calls.py and import_writer.py.

-- name: enqueue_calls(campaign_id, batch_businesses, batch_ids, again, dry, business_ids, from_numbers, to_numbers, due_ats, idempotency_keys, contacts, time_zones)
-- Moves    (nothing) -> queued
-- Returns  what queue_calls says, without its moment: how many were `created`, then each that was left out
-- Races    as queue_calls
select created, ids, businesses, numbers, place, fault, about
  from queue_calls(:campaign_id::bigint, :batch_businesses::bigint[], :batch_ids::bigint[], :again::boolean,
                   :business_ids::bigint[], :from_numbers::text[], :to_numbers::text[], :due_ats::timestamptz[],
                   :idempotency_keys::text[], :contacts::jsonb[], :time_zones::text[], :dry::boolean);

-- name: import_calls(campaign_id, batch_businesses, batch_ids, again, dry, business_ids, from_numbers, to_numbers, due_ats, idempotency_keys, contacts, time_zones)
-- enqueue_calls of a file, which does not ask which ids its calls have got.
--
-- Moves    (nothing) -> queued
-- Returns  how many were `created`, then each that was left out
-- Races    as queue_calls
select created, at, place, fault, about
  from queue_calls(:campaign_id::bigint, :batch_businesses::bigint[], :batch_ids::bigint[], :again::boolean,
                   :business_ids::bigint[], :from_numbers::text[], :to_numbers::text[], :due_ats::timestamptz[],
                   :idempotency_keys::text[], :contacts::jsonb[], :time_zones::text[], :dry::boolean);

-- name: find_calls_there(business_ids, to_numbers, idempotency_keys, due_ats, batch_businesses, batch_ids, created_ats)
-- Returns  what calls_there says of each call that was given, in their order; when the last one was dialed as ISO 8601,
--          whatever the session would have
select place, telephone, id, status, has_key, key_of_another, live_status, is_twin, keeps_time, live_due, dialed_id,
       to_json(dialed_at) #>> '{}' as dialed_at, note
  from calls_there(:business_ids::bigint[], :to_numbers::text[], :idempotency_keys::text[], :due_ats::timestamptz[],
                   :batch_businesses::bigint[], :batch_ids::bigint[], :created_ats::timestamptz[])
 order by place;

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
-- Returns  what find_callers in sql/functions says of each business and campaign, and when the campaign ends, as ISO 8601
select place, caller.id, time_zone, default_region, campaign_id, has_ended, campaign_calls, can_speak, caller.twiml,
       own_number, to_json(nullif(campaign.ends_at, 'infinity')) #>> '{}' as ends_at
  from find_callers(:business_ids::bigint[], :campaign_ids::bigint[]) as caller
  left join campaign on campaign.id = caller.campaign_id;

-- name: numbers_to_call_from(business_id, campaign_id)
-- Returns  the numbers that may be given as from-numbers where a tenant asks: the business's own, and its campaign's but
--          for another business's own
select phone from business_number where business_id = :business_id::bigint
union
select campaign_number.phone
  from campaign_number
 inner join campaign on campaign.id = campaign_number.campaign_id
  left join business_number on business_number.phone = campaign_number.phone
 where campaign_number.campaign_id = :campaign_id::bigint
   and campaign.business_id = :business_id::bigint
   and coalesce(business_number.business_id, :business_id::bigint) = :business_id::bigint;

-- name: zones_of_callees(to_numbers)
-- Returns  of each number whose zone it tells, the `number` and its `zone`
select number, zones[1] as zone
  from (select distinct number from unnest(:to_numbers::text[]) as given (number)) as callee
 cross join lateral (select callee_zones(number, null) as zones) as told
 where cardinality(zones) = 1;

-- name: note_import(who, scope, key, details)!
-- A file of calls was read, to its end or as far as that went.
insert into audit (who, action, scope, key, details) values (:who, 'import_calls', :scope, :key, :details);
