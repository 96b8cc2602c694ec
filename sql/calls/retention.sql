-- retention.sql: delete calls that ended long ago, and other old rows.  Read by outbound/calls/retention.py alone.

-- name: delete_ended_calls(keep_days, batch_max, apart)^
-- Delete the calls that ended longest ago, with their events.  Leads stay.
--
-- Kept are: what has a deadline (a lead that is not made yet, an end that is in doubt); a call of a retry policy as long
-- as one of its attempts is not over and old, since the retry policy counts them; and the first attempt until the others,
-- which point to it, are gone.  The carrier says when a call ended; that it is old, our own clock must say too.
--
-- `apart` is false, or true where the statement raised: each call is deleted by itself then, and one that cannot be
-- (somebody's table points to it) is set aside.
--
-- Moves    completed, busy, no-answer, failed, canceled -> (nothing)
-- Returns  how many calls and events were deleted, and how many calls were dealt with: those that were set aside too
-- Races    a row that somebody holds (a late callback, a lead job, another host) is skipped, and found the next time
-- Undo     none
with past as (
    select now() - make_interval(days => :keep_days) as moment
), doomed as (
    select call_log.id
      from call_log, past
     where call_log.ended_at < past.moment
       and greatest(call_log.created_at, call_log.dialed_at) < past.moment
       and call_log.status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
       and call_log.overdue_at is null
       and not exists (select from call_set_aside where call_id = call_log.id and step = 'retention')
       and not exists (select from call_log as attempt where attempt.retry_of = call_log.id)
       and not exists (
           select
             from call_log as kin
            where (kin.id = call_log.retry_of or kin.retry_of = call_log.retry_of)
              and not (coalesce(kin.ended_at < past.moment, false)
                       and greatest(kin.created_at, kin.dialed_at) < past.moment
                       and kin.overdue_at is null)
       )
     order by call_log.ended_at
     limit :batch_max
       for update of call_log skip locked
), events as (
    delete from call_event using doomed where call_id = doomed.id and not :apart returning call_event.id
), told as (
    delete from event_log using doomed where event_log.call_id = doomed.id and not :apart returning event_log.id
), deleted as (
    delete from call_log using doomed where call_log.id = doomed.id and not :apart returning call_log.id
), calls as (
    select id from deleted
    union all
    select id from doomed where :apart and delete_call(id)
), counted as (
    insert into counter (name, label, value)
    select 'retention', 'calls', count(*) from calls having count(*) > 0
    on conflict (name, label, slot) do update set value = counter.value + excluded.value
)
select (select count(*) from calls) as calls, (select count(*) from events) as events,
       (select count(*) from doomed) as dealt_with;

-- name: delete_old_leads(keep_days, batch_max)$
-- Delete the leads whose last contact is the longest ago.  One that still has a call is kept as long as that is: it would
-- be made again from the call.
--
-- Returns  how many were deleted
-- Races    a lead job that holds one is left in peace, and what it touched is not old any more
-- Undo     none
with past as (
    select now() - make_interval(days => :keep_days) as moment
), doomed as (
    select leads.id
      from leads, past
     where leads.updated_at < past.moment
       and not exists (select from call_log where call_log.lead_id = leads.id)
       and not exists (select from leads as twin where twin.duplicate_of = leads.id)
     order by leads.updated_at
     limit :batch_max
       for update of leads skip locked
), deleted as (
    delete from leads using doomed where leads.id = doomed.id returning leads.id
), counted as (
    insert into counter (name, label, value)
    select 'retention', 'leads', count(*) from deleted having count(*) > 0
    on conflict (name, label, slot) do update set value = counter.value + excluded.value
)
select count(*) from deleted;

-- name: delete_old_checks(keep_days, batch_max)$
-- Delete the oldest answers of a do-not-call registry.  A campaign that demands one asks for it again before it calls.
--
-- Returns  how many were deleted
-- Races    an import that writes one of them holds it, and it is left
-- Undo     the next import of the registry
with past as (
    select now() - make_interval(days => :keep_days) as moment
), doomed as (
    select phone_key(phone) as telephone
      from registry_check, past
     where checked_at < past.moment
     order by checked_at
     limit :batch_max
       for update of registry_check skip locked
), deleted as (
    delete from registry_check
     using doomed
     where phone_key(registry_check.phone) = doomed.telephone
    returning registry_check.phone
), counted as (
    insert into counter (name, label, value)
    select 'retention', 'registry', count(*) from deleted having count(*) > 0
    on conflict (name, label, slot) do update set value = counter.value + excluded.value
)
select count(*) from deleted;

-- name: erase_old_audit(keep_days, batch_max, who)$
-- Blank the details of the oldest entries of the audit; what was done, when, by which actor and to what kind of thing
-- stays, and the chain holds (audit_erase_old).
--
-- Returns  how many were blanked
-- Races    another host that does the same: it waits for our rows, and blanks nothing twice
-- Undo     none
with erased as (
    select audit_erase_old(:who, :keep_days, :batch_max) as entries
), counted as (
    insert into counter (name, label, value)
    select 'retention', 'audit', entries from erased where entries > 0
    on conflict (name, label, slot) do update set value = counter.value + excluded.value
)
select entries from erased;

-- name: delete_old_batches(keep_days, batch_max)$
-- Delete the batches into which nothing was imported for longest and which have no call any more, with the hashes of
-- the people that they reached.  A file of that name is a new batch then.
--
-- Returns  how many hashes and batches were deleted
-- Races    an import into one of them holds it, or makes it young; it is left
-- Undo     none
with past as (
    select now() - make_interval(days => :keep_days) as moment
), old as (
    select batch.id
      from batch, past
     where batch.imported_at < past.moment
       -- Two conditions, for each has an index of its own.
       and not exists (select from call_log where batch_id = batch.id and retry_of is null)
       and not exists (select from call_log where batch_id = batch.id and retry_of is not null)
     order by batch.imported_at
     limit :batch_max
       for update of batch skip locked
), doomed as (
    select batch_id, hash
      from old
     cross join lateral (
           select batch_id, hash from batch_reached where batch_id = old.id limit :batch_max
     ) as reached
     limit :batch_max
), forgot as (
    delete from batch_reached using doomed
     where batch_reached.batch_id = doomed.batch_id and batch_reached.hash = doomed.hash
    returning batch_reached.hash
), deleted as (
    delete from batch using old
     where batch.id = old.id and not exists (select from batch_reached where batch_id = old.id)
    returning batch.id
), counted as (
    insert into counter (name, label, value)
    select 'retention', 'batches', count(*) from deleted having count(*) > 0
    on conflict (name, label, slot) do update set value = counter.value + excluded.value
)
select (select count(*) from forgot) + (select count(*) from deleted);

-- name: delete_old_events(keep_days, batch_max)$
-- Forget events that happened more than keep_days ago, and what is left of their deliveries.
--
-- Returns  how many events
with old as (
    select id
      from event_log
     where at < now() - make_interval(days => :keep_days)
     order by at
     limit :batch_max
       for update skip locked
), gone as (
    delete from event_log using old where event_log.id = old.id returning event_log.id
), readers as (
    delete from event_reader where wanted_until < now() - make_interval(days => :keep_days)
)
select count(*) from gone;

-- name: delete_old_requests(batch_max)$
-- Delete the API's answers that are kept for repeats of a request, 72 hours after the request.
--
-- Returns  how many were deleted
-- Races    a repeat that reads one at this moment is answered from it, or does the work again
-- Undo     none
with old as (
    select token_id, key
      from api_request
     where at < now() - interval '72 hours'
     order by at
     limit :batch_max
       for update skip locked
), deleted as (
    delete from api_request
     using old
     where api_request.token_id = old.token_id and api_request.key = old.key
    returning api_request.key
)
select count(*) from deleted;

-- name: delete_old_imports(batch_max)$
-- Delete what is known of imports that began more than 90 days ago.
--
-- Returns  how many were deleted
-- Undo     none
with old as (
    select id
      from call_import
     where started_at < now() - interval '90 days'
     order by started_at
     limit :batch_max
       for update skip locked
), deleted as (
    delete from call_import using old where call_import.id = old.id returning call_import.id
)
select count(*) from deleted;
