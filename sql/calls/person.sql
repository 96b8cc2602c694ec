-- person.sql: all that is known of one person, and its end.  Read by outbound/calls/person.py alone.
-- `core` and `pattern` find a number in whichever way it is written (rows_that_mention).

-- name: is_own_number(phone)$
-- Returns  is this the number of a business or a campaign, and no person's
select exists (select from business_number where phone_key(phone) = phone_key(:phone))
    or exists (select from campaign_number where phone_key(phone) = phone_key(:phone));

-- name: is_forgotten(phone)$
select is_forgotten(:phone);

-- name: mentions(phone, core, pattern)
-- Returns  each row that holds the number, or belongs to a call that does: its table as `source`, the row as `content`
with found as materialized (
    select source, content from rows_that_mention(:core, :pattern)
), call as materialized (
    select (content ->> 'id')::bigint as id from found where source = 'call_log'
    union
    select call_log.id
      from found
     inner join call_log on call_log.lead_id = (content ->> 'id')::bigint
     where source = 'leads'
), row_of_call as (
    select 'call_log' as source, to_jsonb(call_log) as content from call inner join call_log using (id)
    union
    select 'call_event', to_jsonb(call_event) from call inner join call_event on call_id = call.id
    union
    select 'event_log', to_jsonb(event_log) from call inner join event_log on call_id = call.id
    union
    select 'call_set_aside', to_jsonb(call_set_aside) from call inner join call_set_aside on call_id = call.id
    union
    select 'audit_change', to_jsonb(audit_change)
      from audit_change
     where position(encode(person_hash(:phone), 'hex') in details::text) > 0
    union
    select 'batch_reached', to_jsonb(batch_reached) from batch_reached where hash = person_hash(:phone)
)
select source, content from found
union
select source, content from row_of_call
 order by source, content;

-- name: lock_calls(core, pattern)
-- Returns  each call with this person, and is it live: not over, or its end is still asked for
-- Races    waits for every transaction that has locked one of them
select id, status,
       call_status_rank(status) < 5 or call_is_in_doubt(status, error_code) and overdue_at is not null as is_live
  from call_log
 where case
           when position(:core in translate(concat_ws(' ', to_number, from_number), '-./()', '')) > 0
               then concat_ws(chr(10), to_number, from_number) ~ :pattern
       end
    or lead_id in (select id from leads where phone ~ :pattern)
 order by id
   for update;

-- name: put_on_list(phone)$
-- Nobody may call this number from now on, and nothing with it is written: what stays is a keyed hash.
--
-- Returns  how many entries are new, one or none
-- Undo     `delete from forgotten where hash = person_hash('+...')`, where it was the wrong number
with entry as (
    insert into forgotten (hash) values (person_hash(:phone)) on conflict do nothing returning hash
)
select count(*) from entry;

-- name: cancel_late(call_ids)!
-- Close calls that were put in the queue while the person was being forgotten.
--
-- Moves    queued, claimed -> canceled
-- Races    none: the claim and begin_dials refuse the number by now
update call_log
   set status = 'canceled', error_code = 'suppressed', error_message = obstacle_sentence('suppressed'),
       ended_at = now(), overdue_at = null, held_by = null
 where id = any(:call_ids::bigint[]) and status in ('queued', 'claimed');

-- name: delete_person(call_ids, phone, pattern)^
-- Delete what is about this person alone.
--
-- Moves    completed, busy, no-answer, failed, canceled -> (nothing)
-- Returns  how many rows of each table
-- Races    a callback, a lead job or a look-up that comes afterwards finds no call, and writes nothing
-- Undo     none
with event as (
    delete from call_event where call_id = any(:call_ids::bigint[]) returning id
), told as (
    delete from event_log where call_id = any(:call_ids::bigint[]) returning id
), aside as (
    delete from call_set_aside where call_id = any(:call_ids::bigint[]) returning call_id
), call as (
    delete from call_log
     where id = any(:call_ids::bigint[]) and status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
    returning id
), lead as (
    delete from leads where phone ~ :pattern returning id
), agreed as (
    delete from consent where phone_key(phone) = phone_key(:phone) returning phone
), checked as (
    delete from registry_check where phone_key(phone) = phone_key(:phone) returning phone
), place as (
    delete from destination where place ~ :pattern and length(place) > 7 returning id
), reached as (
    delete from batch_reached where hash = person_hash(:phone) returning batch_id
), listed as (
    delete from suppression where phone_key(phone) = phone_key(:phone) returning id
)
select (select count(*) from call) as call_log, (select count(*) from event) as call_event,
       (select count(*) from told) as event_log, (select count(*) from aside) as call_set_aside,
       (select count(*) from lead) as leads, (select count(*) from agreed) as consent,
       (select count(*) from checked) as registry_check, (select count(*) from place) as destination,
       (select count(*) from reached) as batch_reached, (select count(*) from listed) as suppression;

-- name: unname_batches(pattern)$
-- Give batches another name that are called after the number; two of them must not get the same.
--
-- Returns  how many rows
with renamed as (
    update batch set name = 'forgotten:' || id where name ~ :pattern returning id
)
select count(*) from renamed;

-- name: unname_requests(pattern)!
-- Give the API's kept answers another key where that holds the number; two of them must not get the same.  A repeat with
-- the old key is a new request.
update api_request set key = 'forgotten:' || gen_random_uuid() where key ~ :pattern;

-- name: unmention(core, pattern)
-- Take the number out of what is about others: a reason, a contact, a text of the carrier.
--
-- Returns  how many rows of each table
select source, changed from unmention(:core, :pattern);

-- name: erase_audit(phone, core, pattern, who)$
-- Blank the details of what the audit says of this person, by number or by hash; that it happened stays.
--
-- Returns  how many entries
select audit_erase(
           :who, 'a person was forgotten',
           array(select (content ->> 'id')::bigint
                   from rows_that_mention(:core, :pattern)
                  where source = 'audit'),
           array(select (content ->> 'id')::bigint
                   from rows_that_mention(:core, :pattern)
                  where source = 'audit_change'
                  union
                 select id
                   from audit_change
                  where scope <> 'forgotten' and position(encode(person_hash(:phone), 'hex') in details::text) > 0),
           :pattern);

-- name: note(who, details)$
-- Returns  the id of the entry in the audit
insert into audit (who, action, scope, key, details)
values (:who, 'forget_person', 'account', '', :details)
returning id;

-- name: this_transaction()^
-- Returns  its `id`, and when it began by the database's clock
select pg_current_xact_id()::text as id, now() as at;

-- name: are_over(id)$
-- Returns  has every transaction ended that began before this one
select pg_snapshot_xmin(pg_current_snapshot()) > :id::xid8;

-- name: has_old_tables()$
-- Returns  are there tables of a system before, which are its owners'
select exists (select from adoption where undone_at is null);
