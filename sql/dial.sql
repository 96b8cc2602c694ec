-- dial.sql: the intent to ring a phone, and what came of it.  Read by outbound/dial.py alone.
-- An accepted call is written by callback.sql: the carrier's answer is the first of its reports.

-- name: begin_dials(call_ids, ask_s, send_s)
-- Write down that these calls are about to be dialed.  Committed before the carrier hears of any.
--
-- Moves    claimed -> initiated; claimed -> queued where its moment has passed (dial_by, or the claim's own deadline), or
--          where it was forbidden since it was claimed: a pause, a do-not-call entry, consent, the campaign's end
-- Returns  what to dial, and how long a paced call may take until it is sent; nothing of a call that another worker has
--          or that was taken back
-- Races    whoever repeats this nudge finds the rows no longer 'claimed'
-- Undo     none: from here on the phones may be ringing
with call as (
    select id,
           coalesce(dial_by, overdue_at) >= now()
           and not is_suppressed(to_number, business_id, campaign_id)
           and not exists (
               select
                 from campaign
                where campaign.id = call_log.campaign_id
                  and (ends_at <= now() or consent_required and not has_consent(call_log.business_id, to_number))
           )
           and not exists (
               select
                 from dial_control
                where (scope, key) in (('account', ''), ('business', business_id::text),
                                       ('campaign', campaign_id::text), ('number', from_number))
                  and (state <> 'running' or hold_until > now())
           ) as may_begin
      from call_log
     where id = any(:call_ids::bigint[]) and status = 'claimed'
     order by id
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
), counted as (
    insert into counter (name, label, slot, value)
    select name, label, pg_backend_pid() % 8, sum(value)
      from (select waited.*
              from begun
             cross join lateral seconds_counted('queue_wait_seconds', extract(epoch from now() - due_at)::float8)
                as waited
             where status = 'initiated'
            union all
            select 'claim', 'given_back', 1 from begun where status = 'queued') as news
     group by name, label
     order by name, label
    on conflict (name, label, slot) do update set value = counter.value + excluded.value
)
select begun.id, begun.fence, begun.from_number, begun.to_number, begun.contact,
       begun.put_backs, extract(epoch from begun.dial_by - clock_timestamp())::float8 + :send_s as send_within_s,
       campaign.machine_detection,
       case when speaks.campaign then campaign.voice_url else business.voice_url end as voice_url,
       case when speaks.campaign then campaign.twiml else business.twiml end as twiml
  from begun
 inner join business on business.id = begun.business_id
  left join campaign on campaign.id = begun.campaign_id
 cross join lateral (select coalesce(campaign.voice_url, campaign.twiml) is not null as campaign) as speaks
 where begun.status = 'initiated';

-- name: record_refusal(call_id, fence, error_code, error_message, at_fault)^
-- The carrier said no; nothing rang.  A refusal that comes after the call was closed is the better reason.
--
-- Where it is the from-number or the campaign (without one, the business) that is at fault, the next call would be
-- refused too: after five in a row that scope is paused, and whoever mended it resumes it.  An accepted call ends the
-- row of refusals (callback.sql).
--
-- Moves    initiated, or failed for want of a call_sid -> failed; claimed -> queued, those of a scope that is paused
-- Returns  the scope that was paused by this, or nothing
-- Races    a callback that adopted the call first wins: the row has its call_sid.  A claim that began before the pause
--          is put back by begin_dials
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
    returning call_log.id, call.status as was, business_id, campaign_id, from_number, dialed_at
), carrier_answers as (
    update dial_control set troubles = 0 from moved where scope = 'account' and troubles <> 0
), blamed as (
    insert into dial_control as control (scope, key, refused_calls)
    select case
               when :at_fault::text = 'number' then 'number' when campaign_id is null then 'business' else 'campaign'
           end,
           case when :at_fault = 'number' then from_number else coalesce(campaign_id, business_id)::text end,
           array[id]
      from moved
     where :at_fault is not null
    on conflict (scope, key) do update
       set refused_calls = control.refused_calls || excluded.refused_calls,
           state = case when cardinality(control.refused_calls) >= 4 then 'paused' else control.state end,
           state_since = case when cardinality(control.refused_calls) >= 4 then now() else control.state_since end,
           state_reason = case
               when cardinality(control.refused_calls) >= 4
                   then 'The carrier refused 5 calls in a row, the last with ' || :error_code || ': calls '
                        || array_to_string(control.refused_calls || excluded.refused_calls, ', ') || '.'
               else control.state_reason
           end
     where control.state = 'running'
    returning scope, key, state, state_reason, refused_calls
), tripped as (
    select * from blamed where state = 'paused'
), audited as (
    insert into audit (who, action, scope, key, details)
    select 'breaker', 'pause', scope, key,
           jsonb_build_object('reason', state_reason, 'error_code', :error_code::text, 'calls', refused_calls)
      from tripped
), claim as (
    select call_log.id
      from tripped
     inner join call_log
        on tripped.key = case tripped.scope
                             when 'number' then from_number
                             when 'campaign' then campaign_id::text
                             else business_id::text
                         end
     where status = 'claimed'
     order by call_log.id
       for update of call_log
), taken_back as (
    update call_log set status = 'queued', overdue_at = null from claim where call_log.id = claim.id
), counted as (
    insert into counter (name, label, slot, value)
    select counted.name, counted.label, pg_backend_pid() % 8, counted.value
      from moved
     cross join lateral (
           select *
             from (values ('dial', 'refused', 1::bigint), ('ended', 'failed', 1)) as counted (name, label, value)
            where name = 'dial' or was = 'initiated'
            union all
           select * from seconds_counted('dial_seconds', extract(epoch from now() - dialed_at)::float8)
     ) as counted
     order by counted.name, counted.label
    on conflict (name, label, slot) do update set value = counter.value + excluded.value
)
select scope, key from tripped;

-- name: put_back(call_id, fence, wait_s, reason)!
-- The request never left: the call goes back to the queue and no attempt is counted.  It waits twice as long each
-- time, from wait_s up to five minutes, and a little more or less so that a crowd does not return as one.  A call that
-- was closed meanwhile stays closed, and says that nothing was sent.
--
-- Moves    initiated -> queued; initiated -> canceled where an operator canceled it in this moment
-- Races    the fence: repeated after somebody else began to dial, this finds another fence and moves nothing
with call as (
    select id,
           case
               when status <> 'initiated' then status when hang_up = 'canceled' then 'canceled' else 'queued'
           end as next
      from call_log
     where id = :call_id and fence = :fence and call_sid is null
       and (status = 'initiated' or call_awaits_truth(status, error_code))
       for update
), moved as (
    update call_log
       set status = next,
           hang_up = null,  -- nothing of it is in the air
           error_code = case next when 'canceled' then 'operator_canceled' when 'failed' then 'not_sent' end,
           error_message = 'Not sent: ' || :reason || '.',
           overdue_at = null,
           ended_at = case next when 'canceled' then now() else ended_at end,
           dialed_at = case next when 'failed' then dialed_at end,
           put_backs = put_backs + 1,
           due_at = now()
               + make_interval(secs => least(300, :wait_s * 2 ^ least(put_backs, 10)) * (0.75 + random() / 2))
      from call
     where call_log.id = call.id
    returning next
)
insert into counter (name, label, slot, value)
select counted.name, counted.label, pg_backend_pid() % 8, 1
  from moved
 cross join lateral (values ('dial', 'not_sent'), ('ended', 'canceled')) as counted (name, label)
 where counted.name = 'dial' or next = 'canceled'
on conflict (name, label, slot) do update set value = counter.value + 1;

-- name: record_unsure()!
-- No usable answer came.  The row stays as begin_dials left it: reconcile asks the carrier, nobody dials again.
insert into counter (name, label, slot, value)
values ('dial', 'unknown', pg_backend_pid() % 8, 1)
on conflict (name, label, slot) do update set value = counter.value + 1;

-- name: slow_down(hold_max_s)!
-- The carrier is in trouble, or we are too fast for it: nothing is begun for a moment, twice as long after each trouble
-- in a row and up to hold_max_s, and then half as fast (pace_now).  So a carrier that answers nothing but errors costs a
-- call or so per hold, not the queue.  What happens within a second of a trouble is the same one.
--
-- Undo     an accepted call ends the row of troubles (callback.sql); the pace comes back within a minute
update dial_control
   set troubles = troubles + 1,
       slow_factor = greatest(0.05, pace_now(1, slow_factor, slowed_at) / 2),
       slowed_at = now(),
       hold_until = greatest(hold_until, now() + make_interval(secs => least(:hold_max_s, 2 ^ least(troubles, 10))))
 where scope = 'account' and coalesce(slowed_at < now() - interval '1 s', true);
