-- recover.sql: take in what the carrier knows and this database has forgotten.  Read by outbound/calls/recover.py alone.

-- name: find_stop()^
-- Returns  why and since when nothing is dialed, and for how long, seconds; or nothing
select reason, since, extract(epoch from clock_timestamp() - since)::float8 as age_s
  from dialing_stop
 where cause = 'recovery';

-- name: stop_dialing()!
-- An operator knows of a restore that nothing else tells of.
insert into dialing_stop (cause, reason)
values ('recovery', 'An operator began `outbound recover`. Run it again.')
on conflict do nothing;

-- name: last_known_dial()$
-- Returns  when the last dial began that this database knows of; else when its first call was written; NULL without calls
select coalesce(max(dialed_at) filter (where direction = 'outbound'), min(created_at)) from call_log;

-- name: note_since(since, who)$
-- Write down from which moment on the carrier's calls are listed, for the runs to come: once some are taken in, the last
-- dial that the database knows of is one of them, and earlier ones may still be missing.
--
-- Returns  the earliest moment of all runs since dialing stopped
with noted as (
    select min((details ->> 'since')::timestamptz) as since
      from audit
     where action = 'recover_since' and at >= (select since from dialing_stop where cause = 'recovery')
), news as (
    insert into audit (who, action, scope, key, details)
    select :who, 'recover_since', 'account', '', jsonb_build_object('since', :since::timestamptz)
      from noted
     where coalesce(:since < noted.since, true)
)
select least(noted.since, :since) from noted;

-- name: accounts_of_businesses()
-- Returns  the accounts of the carrier's that businesses have beside TWILIO_ACCOUNT_SID, and the businesses of each
select carrier_account as account, array_agg(id order by id) as businesses
  from business
 where carrier_account is not null
 group by carrier_account
 order by carrier_account;

-- name: accounts_of_calls(since)
-- Returns  the accounts through which calls were dialed since then, beside TWILIO_ACCOUNT_SID
select distinct carrier_account as account
  from call_log
 where carrier_account is not null and dialed_at >= :since
 order by carrier_account;

-- name: telephones(numbers)
-- Returns  each number, and the key of its telephone
select phone, phone_key(phone) as telephone from unnest(:numbers::text[]) as given (phone);

-- name: take_in(calls, early_s, late_s)
-- Give calls of the carrier to their rows, at most one call of each telephone, earlier ones first.
--
-- Which rows could be a call's: rows_of_lost_call.  Where several could, none of them is dialed.  Where none could, the row
-- was lost: it is written, for the business that has the from-number.
--
-- Of whichever account they are: what the database has forgotten may be that its business had another one.
--
-- `calls` is a JSON array, with the fields that the first CTE reads.
--
-- Moves    queued, claimed -> initiated, with call_sid and account; queued, claimed -> failed (`unsure_after_restore`)
--          (nothing) -> failed for want of a call_sid, which the carrier's report then moves on
-- Returns  of each call: what was done (known, bound, added, unsure, stranger), the rows, and is that call's report news
-- Races    a callback that adopts the row first wins: it is no candidate any more.  Run again, it finds each call known
-- Undo     a signed callback that names a call tells its truth; of what was held it keeps the call_sid and the status
with told as materialized (
    select call_sid, from_number, to_number, created_at, account
      from jsonb_to_recordset(:calls::jsonb)
        as told (call_sid text, from_number text, to_number text, created_at timestamptz, account text)
), known as materialized (
    select told.call_sid, call_log.id, status from told inner join call_log using (call_sid)
), candidate as materialized (
    select told.call_sid, told.created_at, told.account, own.id, own.status,
           count(*) over (partition by told.call_sid) as rows
      from told
     cross join lateral rows_of_lost_call(told.from_number, told.to_number, told.created_at, :early_s, :late_s) as own
     where told.call_sid not in (select known.call_sid from known)
), locked as materialized (
    select call_log.id
      from call_log
     where call_log.id in (select candidate.id from candidate) and call_log.call_sid is null
     order by call_log.id
       for update
), bound as (
    update call_log
       set status = case when call_log.status in ('queued', 'claimed') then 'initiated' else call_log.status end,
           call_sid = candidate.call_sid,
           carrier_account = candidate.account,
           dialed_at = case
               when call_log.status in ('queued', 'claimed') then candidate.created_at else call_log.dialed_at
           end,
           fence = fence + 1,
           paused_at = null,
           held_by = null,
           looked_at = null,
           overdue_at = now()
      from candidate, locked
     where call_log.id = candidate.id and locked.id = call_log.id and candidate.rows = 1 and call_log.call_sid is null
       and (call_log.status in ('queued', 'claimed', 'initiated', 'ringing', 'in-progress')
            or call_awaits_truth(call_log.status, error_code))
    returning call_log.id, call_log.call_sid
), held as (
    update call_log
       set status = 'failed',
           error_code = 'unsure_after_restore',
           error_message = 'After a restore, a call of the carrier could be this one or another: '
                           || doubt.call_sids || '.',
           overdue_at = null,
           held_by = null,
           ended_at = now()
      from (select candidate.id, string_agg(candidate.call_sid, ', ' order by candidate.call_sid) as call_sids
              from candidate
             where candidate.rows > 1
             group by candidate.id) as doubt, locked
     where call_log.id = doubt.id and locked.id = call_log.id and call_log.status in ('queued', 'claimed')
    returning call_log.id
), owner as materialized (
    select distinct call_sid, business_of_number(from_number) as business_id from told
), added as (
    insert into call_log (business_id, direction, status, from_number, to_number, call_sid, due_at, dialed_at, ended_at,
                          overdue_at, error_code, error_message, idempotency_key, carrier_account)
    select owner.business_id, 'outbound', 'failed', told.from_number, told.to_number, told.call_sid, told.created_at,
           told.created_at, told.created_at, now(), 'no_call_sid',
           'Found at the carrier after a restore; its row was lost.',
           'recovered:' || told.call_sid, told.account
      from told
     inner join owner using (call_sid)
     where owner.business_id is not null
       and told.to_number ~ '^\+[1-9][0-9]{6,14}$'
       and told.call_sid not in (select known.call_sid from known)
       and told.call_sid not in (select candidate.call_sid from candidate)
    on conflict do nothing
    returning id, call_sid
), counted as (
    insert into counter (name, label, value)
    select 'ended', 'failed', count(*) from held having count(*) > 0
    on conflict (name, label, slot) do update set value = counter.value + excluded.value
)
select told.call_sid,
       case
           when known.id is not null then 'known'
           when bound.id is not null then 'bound'
           when added.id is not null then 'added'
           when exists (select from candidate where candidate.call_sid = told.call_sid) then 'unsure'
           else 'stranger'
       end as what,
       coalesce(known.id, bound.id, added.id) as call_id,
       array(select candidate.id
               from candidate
              where candidate.call_sid = told.call_sid and candidate.rows > 1) as doubtful,
       coalesce(call_status_rank(known.status) < 5, bound.id is not null or added.id is not null) as is_open
  from told
  left join known using (call_sid)
  left join bound using (call_sid)
  left join added using (call_sid);

-- name: waiting()^
-- Returns  how many calls are claimed, dialed without a call_sid, or were set aside as unsure; what goes on by itself
select (select count(*) from call_log where status = 'claimed')::int as claimed,
       (select count(*)
          from call_log
         where status in ('initiated', 'ringing', 'in-progress') and direction = 'outbound' and call_sid is null)::int
       as unbound,
       (select count(*) from call_log where status = 'queued' and due_at <= now())::int as due;

-- name: let_dial(seen, who, details)!
-- What was forgotten is known again: from here on this is the database that dials.  Under the dispatch lock.
--
-- Moves    the row in dialing_stop -> (nothing)
-- Races    the dispatchers wait
with turn as materialized (
    select pg_advisory_xact_lock(hashtext('outbound.dispatch'), 'call_log'::regclass::int)
), others as (
    insert into identity (line, database_oid, ended_at)
    select line, 0, now()
      from turn
     cross join jsonb_to_recordset(:seen::jsonb) as told (line uuid)
    on conflict do nothing
), ended as (
    update identity set ended_at = now() from turn where ended_at is null returning line
), noted as (
    insert into audit (who, action, scope, key, details) values (:who, 'recover', 'account', '', :details)
)
delete from dialing_stop using turn where cause = 'recovery' and (select count(*) from ended) >= 0;

-- name: begin_line()!
-- The present line of this database, from now on; none is there (let_dial ended it).
insert into identity (system_identifier, timeline, database_oid, schema_oid)
select system_identifier, timeline, database_oid, live_schema_oid() from live_identity();
