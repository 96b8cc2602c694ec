-- dial.sql: the intent to ring a phone, and what came of it.  Read by outbound/dial.py alone.
-- An accepted call is written by callback.sql: the carrier's answer is the first of its reports.

-- name: begin_dial(call_id, ask_s)^
-- Write down that this call is about to be dialed.  Committed before the carrier hears of it.
--
-- Moves    claimed -> initiated; claimed -> queued where its moment has passed (dial_by), or where somebody forbade it
--          since it was claimed: a pause, a do-not-call entry
-- Returns  what to dial, or nothing: another worker has it, or it was taken back
-- Races    whoever repeats this nudge finds the row no longer 'claimed'
-- Undo     none: from here on the phone may be ringing
with call as (
    select id,
           coalesce(dial_by >= now(), true)
           and not is_suppressed(to_number, business_id, campaign_id)
           and not exists (
               select
                 from dial_control
                where (scope, key) in (('account', ''), ('business', business_id::text),
                                       ('campaign', campaign_id::text), ('number', from_number))
                  and (state <> 'running' or hold_until > now())
           ) as may_begin
      from call_log
     where id = :call_id and status = 'claimed'
       for update
), begun as (
    update call_log
       set status = case when may_begin then 'initiated' else 'queued' end,
           dialed_at = case when may_begin then now() end,
           error_message = case when not may_begin then error_message end,
           looks = 0,
           looked_at = null,
           overdue_at = case when may_begin then now() + make_interval(secs => :ask_s) end
      from call
     where call_log.id = call.id and status = 'claimed'
    returning call_log.*
)
select begun.id, begun.fence, begun.from_number, begun.to_number, begun.contact, begun.dial_by is not null as is_paced,
       campaign.machine_detection,
       case when speaks.campaign then campaign.voice_url else business.voice_url end as voice_url,
       case when speaks.campaign then campaign.twiml else business.twiml end as twiml
  from begun
 inner join business on business.id = begun.business_id
  left join campaign on campaign.id = begun.campaign_id
 cross join lateral (select coalesce(campaign.voice_url, campaign.twiml) is not null as campaign) as speaks
 where begun.status = 'initiated';

-- name: record_refusal(call_id, fence, error_code, error_message)!
-- The carrier said no; nothing rang.  A refusal that comes after the call was closed is the better reason.
--
-- Moves    initiated, or failed for want of a call_sid -> failed
-- Races    a callback that adopted the call first wins: the row has its call_sid
with call as (
    select id, status
      from call_log
     where id = :call_id and fence = :fence and call_sid is null
       and (status = 'initiated' or call_awaits_truth(status, error_code))
       for update
), moved as (
    update call_log
       set status = 'failed',
           error_code = :error_code,
           error_message = :error_message,
           ended_at = coalesce(ended_at, now()),
           overdue_at = null
      from call
     where call_log.id = call.id
    returning call.status as was
)
insert into counter (name, label, slot, value)
select counted.name, counted.label, pg_backend_pid() % 8, 1
  from moved
 cross join lateral (values ('dial', 'refused'), ('ended', 'failed')) as counted (name, label)
 where counted.name = 'dial' or was = 'initiated'
on conflict (name, label, slot) do update set value = counter.value + 1;

-- name: put_back(call_id, fence, wait_s, reason)!
-- The request never left: the call goes back to the queue and no attempt is counted.  It waits twice as long each
-- time, from wait_s up to five minutes, and a little more or less so that a crowd does not return as one.  A call that
-- was closed meanwhile stays closed, and says that nothing was sent.
--
-- Moves    initiated -> queued
-- Races    the fence: repeated after somebody else began to dial, this finds another fence and moves nothing
with call as (
    select id, status
      from call_log
     where id = :call_id and fence = :fence and call_sid is null
       and (status = 'initiated' or call_awaits_truth(status, error_code))
       for update
), moved as (
    update call_log
       set status = case when call.status = 'initiated' then 'queued' else call_log.status end,
           error_code = case when call.status = 'initiated' then null else 'not_sent' end,
           error_message = 'Not sent: ' || :reason || '.',
           overdue_at = null,
           dialed_at = case when call.status = 'initiated' then null else dialed_at end,
           put_backs = put_backs + 1,
           due_at = now()
               + make_interval(secs => least(300, :wait_s * 2 ^ least(put_backs, 10)) * (0.75 + random() / 2))
      from call
     where call_log.id = call.id
    returning call_log.id
)
insert into counter (name, label, slot, value)
select 'dial', 'not_sent', pg_backend_pid() % 8, 1 from moved
on conflict (name, label, slot) do update set value = counter.value + 1;

-- name: record_unsure()!
-- No usable answer came.  The row stays as begin_dial left it: reconcile asks the carrier, nobody dials again.
insert into counter (name, label, slot, value)
values ('dial', 'unknown', pg_backend_pid() % 8, 1)
on conflict (name, label, slot) do update set value = counter.value + 1;
