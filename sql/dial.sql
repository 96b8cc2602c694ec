-- dial.sql: the intent to ring a phone, and what came of it.  Read by outbound/dial.py alone.
-- An accepted call is written by callback.sql: the carrier's answer is the first of its reports.

-- name: begin_dial(call_id, ask_s)^
-- Write down that this call is about to be dialed.  Committed before the carrier hears of it.
--
-- Moves    claimed -> initiated
-- Returns  what to dial, or nothing: another worker has it, or it was taken back
-- Races    whoever repeats this nudge finds the row no longer 'claimed'
-- Undo     none: from here on the phone may be ringing
update call_log
   set status = 'initiated',
       dialed_at = now(),
       looks = 0,
       looked_at = null,
       overdue_at = now() + make_interval(secs => :ask_s)
  from business
 where call_log.id = :call_id and call_log.status = 'claimed' and business.id = call_log.business_id
returning call_log.id, call_log.fence, call_log.from_number, call_log.to_number, business.voice_url, business.twiml;

-- name: record_refusal(call_id, fence, error_code, error_message)!
-- The carrier said no; nothing rang.
--
-- Moves    initiated -> failed
-- Races    a callback that adopted the call first wins: the row has its call_sid
with moved as (
    update call_log
       set status = 'failed',
           error_code = :error_code,
           error_message = :error_message,
           ended_at = now(),
           overdue_at = null
     where id = :call_id and fence = :fence and status = 'initiated' and call_sid is null
    returning status
)
insert into counter (name, label, slot, value)
select counted.name, counted.label, pg_backend_pid() % 8, 1
  from moved
 cross join lateral (values ('dial', 'refused'), ('ended', moved.status)) as counted (name, label)
on conflict (name, label, slot) do update set value = counter.value + 1;

-- name: put_back(call_id, fence, wait_s)!
-- The request never left: the call goes back to the queue and no attempt is counted.  It waits twice as long each
-- time, from wait_s up to five minutes, and a little more or less so that a crowd does not return as one.
--
-- Moves    initiated -> queued
-- Races    the fence: repeated after somebody else began to dial, this finds another fence and moves nothing
with moved as (
    update call_log
       set status = 'queued',
           overdue_at = null,
           dialed_at = null,
           put_backs = put_backs + 1,
           due_at = now()
               + make_interval(secs => least(300, :wait_s * 2 ^ least(put_backs, 10)) * (0.75 + random() / 2))
     where id = :call_id and fence = :fence and status = 'initiated' and call_sid is null
    returning id
)
insert into counter (name, label, slot, value)
select 'dial', 'not_sent', pg_backend_pid() % 8, 1 from moved
on conflict (name, label, slot) do update set value = counter.value + 1;

-- name: record_unsure()!
-- No usable answer came.  The row stays as begin_dial left it: reconcile asks the carrier, nobody dials again.
insert into counter (name, label, slot, value)
values ('dial', 'unknown', pg_backend_pid() % 8, 1)
on conflict (name, label, slot) do update set value = counter.value + 1;
