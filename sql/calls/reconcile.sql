-- reconcile.sql: calls that we are unsure of.  Read by outbound/calls/reconcile.py alone.

-- A `silent` account of the carrier's ('' is TWILIO_ACCOUNT_SID) gave no answer in this round: its calls wait.

-- name: take_call_to_ask_about(relook_s, silent)^
-- Choose the overdue call about which the carrier is to be asked now, and mark it so that nobody else asks at once:
-- first those that have no call_sid, which will soon be closed; then whom nobody has asked about for longest, so that
-- one that cannot be answered keeps nobody waiting; last, those that are closed and in doubt.
--
-- Moves    nothing
-- Returns  what is known of it, or nothing
-- Races    other hosts skip the row that is taken here
with overdue as (
    select id
      from call_log
     where overdue_at < now()
       and (status in ('initiated', 'ringing', 'in-progress')
            -- Its number may have another call by now, whose call_sid must not be taken for this one's.
            or call_is_in_doubt(status, error_code)
               and (call_sid is not null
                    or not exists (select from live_call(call_log.business_id, call_log.to_number))))
       and (looked_at is null or looked_at < now() - make_interval(secs => :relook_s))
       and not exists (select from call_set_aside where call_id = call_log.id)
       and coalesce(carrier_account, '') <> all(:silent::text[])
     order by status = 'failed', call_sid is not null, looked_at nulls first, overdue_at
     limit 1
       for update skip locked
)
update call_log
   set looked_at = now()
  from overdue
 where call_log.id = overdue.id
returning call_log.id, call_sid, status, direction, from_number, to_number, carrier_account,
          -- Rows of the old system, or of somebody's hand, may lack it, or have one that is yet to come.
          least(greatest(coalesce(dialed_at, created_at, now()), '2000-01-01'), now()) as dialed_at,
          case when ended_at is not null then least(greatest(ended_at, '2000-01-01'), now()) end as ended_at,
          true as is_overdue;

-- name: take_unbound_calls(more_than, span_s, batch_max, relook_s)
-- Where more than so many calls without a call_sid are to be asked about at once, take them together: those that were
-- dialed within span_s, since the carrier's calls are listed from the oldest on.
--
-- Moves    nothing
-- Returns  what is known of each; nothing where there are few
-- Races    other hosts skip the rows that are taken here
with overdue as (
    select id
      from call_log
     where overdue_at < now()
       and call_sid is null
       and direction = 'outbound'
       and dialed_at between now() - make_interval(secs => :span_s) and now()
       and (status in ('initiated', 'ringing', 'in-progress')
            -- Its number may have another call by now, whose call_sid must not be taken for this one's.
            or call_is_in_doubt(status, error_code)
               and not exists (select from live_call(call_log.business_id, call_log.to_number)))
       and (looked_at is null or looked_at < now() - make_interval(secs => :relook_s))
       and not exists (select from call_set_aside where call_id = call_log.id)
     order by overdue_at
     limit :batch_max
       for update skip locked
)
update call_log
   set looked_at = now()
  from overdue
 where call_log.id = overdue.id and (select count(*) from overdue) > :more_than
returning call_log.id, call_sid, status, direction, from_number, to_number, carrier_account, dialed_at, ended_at,
          true as is_overdue;

-- name: ask_singly(call_ids)!
-- The list did not tell of these: they are to be asked about at once, each by itself.
--
-- Moves    nothing
update call_log set looked_at = null where id = any(:call_ids::bigint[]) and call_sid is null;

-- name: still_unbound(call_sids)
-- Returns  those of the call_sids that no call has yet
select call_sid
  from unnest(:call_sids::text[]) as candidate (call_sid)
 where not exists (select from call_log where call_log.call_sid = candidate.call_sid);

-- name: record_absence(call_id, call_sid, looks_min)^
-- The carrier was asked and knows of no such call.  Its lists lag behind, so the first time is only counted; after
-- looks_min times the call is closed: nothing rang, or nothing that we will ever hear of.
--
-- Moves    initiated, ringing, in-progress -> failed, at the last look
-- Returns  the status; nothing where the row has moved on
-- Races    a callback that adopts the call first wins: the row's call_sid is no longer the one that was asked about
-- Undo     a signed callback that comes after all adopts a call that was closed without a call_sid
with call as (
    select id, status, looks + 1 >= :looks_min as is_last_look
      from call_log
     where id = :call_id
       and call_sid is not distinct from :call_sid
       and (status in ('initiated', 'ringing', 'in-progress') or call_is_in_doubt(status, error_code))
       for update
), moved as (
    update call_log
       set looks = looks + 1,
           status = case when is_last_look then 'failed' else call_log.status end,
           error_code = case
               when not is_last_look then error_code
               when call_sid is null then 'no_call_sid'
               else 'unknown_to_carrier'
           end,
           error_message = case
               when not is_last_look then error_message
               when call_sid is null
                   then 'No call_sid came, and the carrier, asked ' || looks + 1 || ' times, knows of no such call.'
               else 'The carrier, asked ' || looks + 1 || ' times, knows of no call with this call_sid.'
           end,
           ended_at = case when is_last_look then coalesce(ended_at, now()) else ended_at end,
           overdue_at = case
               when not is_last_look then overdue_at
               when call_sid is not null and lead_id is null then now()
           end
      from call
     where call_log.id = call.id
    returning call_log.status, error_code, call.status <> call_log.status as is_news
), counted as (
    insert into counter (name, label, value)
    select counted.name, counted.label, 1
      from moved
     cross join lateral (values ('ended', moved.status), ('reconcile', moved.error_code)) as counted (name, label)
     where is_news
    on conflict (name, label, slot) do update set value = counter.value + 1
)
select status, error_code from moved;

-- name: close_for_a_human(call_id, call_sids)!
-- Several calls at the carrier could be this one: a person must look.
--
-- Moves    initiated, ringing, in-progress -> failed
-- Undo     a signed callback that names this call adopts it
with call as (
    select id, status
      from call_log
     where id = :call_id
       and call_sid is null
       and (status in ('initiated', 'ringing', 'in-progress') or call_is_in_doubt(status, error_code))
       for update
), moved as (
    update call_log
       set status = 'failed',
           error_code = 'several_candidates',
           error_message = 'Several calls at the carrier could be this one: '
                           || array_to_string(:call_sids::text[], ', ') || '.',
           ended_at = coalesce(ended_at, now()),
           overdue_at = null
      from call
     where call_log.id = call.id
    returning call.status as was
)
insert into counter (name, label, value)
select counted.name, counted.label, 1
  from moved
 cross join lateral (values ('ended', 'failed'), ('reconcile', 'several_candidates')) as counted (name, label)
 where was <> 'failed'
on conflict (name, label, slot) do update set value = counter.value + 1;

-- name: take_call_in_question(relook_s, silent)^
-- Choose a call that a callback spoke of although it was never dialed here, and mark it so that nobody else asks at once.
-- One that has moved on since (an operator closed it, a look-up found it) needs no answer any more.
--
-- Moves    nothing
-- Returns  the call_sid that the callback named, and the call; or nothing
-- Races    other hosts skip the row that is taken here
with moved_on as (
    update call_in_question
       set answer = 'moved_on'
      from call_log
     where call_log.id = call_in_question.call_id and answer is null and status <> 'queued'
), asked as (
    select question.call_id, question.call_sid
      from call_in_question as question
     inner join call_log on call_log.id = question.call_id
     where answer is null
       and status = 'queued'
       and coalesce(account_of_call(call_log), '') <> all(:silent::text[])
       and (question.looked_at is null or question.looked_at < now() - make_interval(secs => :relook_s))
     order by question.looked_at nulls first, question.at
     limit 1
       for update of question skip locked
), marked as (
    update call_in_question as question
       set looked_at = now()
      from asked
     where question.call_id = asked.call_id and question.call_sid = asked.call_sid
    returning question.call_id, question.call_sid
)
select call_log.id, marked.call_sid, direction, from_number, to_number, account_of_call(call_log) as carrier_account
  from marked
 inner join call_log on call_log.id = marked.call_id;

-- name: answer_question(call_id, call_sid, answer, looks_min)^
-- The carrier knows of no such call, or of one that is not this one.  Its lists lag behind, so that it knows of none is
-- believed when it answered so looks_min times.  Once no question about the call is open, it may be dialed again.
--
-- Moves    nothing
-- Returns  the answer, and was it the last one that its call waited for; nothing where it was answered before
-- Races    a look-up that finds the call first wins: the question has its answer
with call as (
    select id from call_log where id = :call_id for update
), answered as (
    update call_in_question as question
       set looks = looks + 1,
           answer = case when :answer::text <> 'absent' or looks + 1 >= :looks_min then :answer end
      from call
     where question.call_id = call.id and question.call_sid = :call_sid and question.answer is null
    returning question.call_id, question.answer, question.was_paused
), let_go as (
    update call_log
       set paused_at = null
      from answered
     where call_log.id = answered.call_id
       and answered.answer is not null
       and status = 'queued'
       and not answered.was_paused
       and not exists (select
                         from call_in_question as other
                        where other.call_id = answered.call_id
                          and other.call_sid <> :call_sid
                          and other.answer is null)
    returning call_log.id
)
select answered.answer, exists (select from let_go) as may_be_dialed from answered;

-- name: reconcile_done()!
-- Note that a round of reconcile has ended.
insert into duty (name) values ('reconcile') on conflict (name) do update set last_success_at = now();
