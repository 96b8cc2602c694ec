-- dial.sql: the intent to ring a phone, and what came of it.  Read by outbound/calls/dial.py alone.
-- An accepted call is written by events.sql: the carrier's answer is the first of its reports.

-- name: begin_dials(call_ids, ask_s, send_s, life_s)
-- Write down that these calls are about to be dialed.  Committed before the carrier hears of any.
--
-- Moves    claimed -> initiated; claimed -> queued where its moment has passed (dial_by, or the claim's own deadline), or
--          where it was forbidden since it was claimed: a pause, a do-not-call entry, consent, the campaign's end, its
--          destination, a worker without the credentials of its account, or since this may not be the database that
--          dialed last (identity.sql)
--          (nothing) -> spend_reserved: each counts in every cap, with all the time that it may take
-- Returns  what to dial, and how long a paced call may take until it is sent; nothing of a call that another worker has
--          or that was taken back.  With each, for the others to know (identity.py): the line of this database and how
--          many dials it has begun in one of its slots
-- Races    a worker with a copy of this nudge finds the rows no longer 'claimed'
-- Undo     none: from here on the phones may be ringing
with database as materialized (
    select identity_fault() is null and not exists (select from dialing_stop where cause = 'recovery') as may_dial
), call as (
    select call_log.id, account.carrier_account as own_account,
           (select may_dial from database)
           and coalesce(dial_by, overdue_at) >= now()
           and workers_without(account.carrier_account) = 0
           and not is_suppressed(to_number, business_id, campaign_id)
           and (select fault is null from destination_fault(to_number, business_id))
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
                  and (state <> 'running'
                       or hold_until > now()
                       or carrier_hold_until > now() and (scope <> 'account' or account.carrier_account is null))
           ) as may_begin,
           call_limit_s((select time_limit_s from campaign where campaign.id = call_log.campaign_id)) as limit_s
      from call_log
      left join business as account on account.id = call_log.business_id
     where call_log.id = any(:call_ids::bigint[]) and status = 'claimed'
     order by call_log.id
       for update of call_log
), begun as (
    update call_log
       set status = case when may_begin then 'initiated' else 'queued' end,
           dialed_at = case when may_begin then now() end,
           carrier_account = case when may_begin then own_account end,
           error_message = case when not may_begin then error_message end,
           over_by = case
               when may_begin then now() + make_interval(secs => :life_s::float8 + limit_s - call_limit_s(null))
           end,
           looks = 0,
           looked_at = null,
           overdue_at = case when may_begin then now() + make_interval(secs => :ask_s) end
      from call
     where call_log.id = call.id and status = 'claimed'
    returning call_log.*, limit_s
), reserved as (
    insert into spend_reserved (call_id, business_id, campaign_id, dialed_at, seconds)
    select id, business_id, campaign_id, dialed_at, limit_s from begun where status = 'initiated' order by id
    on conflict (call_id) do update set dialed_at = excluded.dialed_at, seconds = excluded.seconds
), known as (
    insert into dials_begun (slot, calls)
    select pg_backend_pid() % 8, count(*) from begun where status = 'initiated' having count(*) > 0
    on conflict (slot) do update set calls = dials_begun.calls + excluded.calls
    returning slot, calls
), counted as (
    insert into counter (name, label, value)
    select name, label, sum(value)
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
select begun.id, begun.fence, begun.dialed_at, begun.from_number, begun.to_number, begun.contact::text as contact,
       begun.put_backs, begun.limit_s, begun.business_id, begun.campaign_id, begun.carrier_account,
       campaign.machine_detection,
       extract(epoch from begun.dial_by - clock_timestamp())::float8 + :send_s as send_within_s,
       case when speaks.campaign then campaign.voice_url else business.voice_url end as voice_url,
       case when speaks.campaign then campaign.twiml else business.twiml end as twiml,
       (select line::text from identity where ended_at is null) as line, known.slot, known.calls as begun
  from begun
 cross join known
 inner join business on business.id = begun.business_id
  left join campaign on campaign.id = begun.campaign_id
 cross join lateral (select coalesce(campaign.voice_url, campaign.twiml) is not null as campaign) as speaks
 where begun.status = 'initiated';

-- name: record_refusal(call_id, fence, error_code, error_message, at_fault)^
-- The carrier refused; nothing rang.  A refusal that comes after the call was closed is the better reason.
--
-- Where it is the from-number or the campaign (without one, the business) that is at fault, the next call would be
-- refused too: after five in a row that scope is paused, until an operator resumes it.  An accepted call ends the
-- row of refusals (events.sql).
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
    returning call_log.id, call.status as was, business_id, campaign_id, from_number, dialed_at, carrier_account
), carrier_answers as (
    update dial_control
       set troubles = 0, carrier_holds = 0, carrier_hold_until = null
      from moved
     where (scope, key) = (case when carrier_account is null then 'account' else 'business' end,
                           case when carrier_account is null then '' else business_id::text end)
       and troubles <> 0
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
     inner join call_log on in_scope(call_log, tripped.scope, tripped.key)
     where status = 'claimed'
     order by call_log.id
       for update of call_log
), taken_back as (
    update call_log set status = 'queued', overdue_at = null from claim where call_log.id = claim.id
), counted as (
    insert into counter (name, label, value)
    select counted.name, counted.label, counted.value
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
-- Nothing was dialed, as the request did not leave or the carrier answered that it did nothing: the call goes back to
-- the queue and no attempt is counted.  It waits twice as long each
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
insert into counter (name, label, value)
select counted.name, counted.label, 1
  from moved
 cross join lateral (values ('dial', 'not_sent'), ('ended', 'canceled')) as counted (name, label)
 where counted.name = 'dial' or next = 'canceled'
on conflict (name, label, slot) do update set value = counter.value + 1;

-- name: record_unsure()!
-- No usable answer came.  The row stays as begin_dials left it: reconcile asks the carrier, nobody dials again.
insert into counter (name, label, value)
values ('dial', 'unknown', 1)
on conflict (name, label, slot) do update set value = counter.value + 1;

-- name: slow_down(begun_at, troubles, in_a_row, of_account, hold_max_s, business_id)^
-- The carrier answered so many calls, begun at begun_at, with errors, or not at all; in_a_row of them without a good
-- answer at the same time.
--
-- They are those of TWILIO_ACCOUNT_SID, or where business_id is given, those of a business with an account of its own:
-- then that business alone is slowed or held.  Good answers are counted of all accounts together, so that such a business
-- is slowed later, and held as soon as any.
--
-- What they mean depends on its other answers.  Where more than one in twenty is an error, of ten at least and three
-- errors at least, dialing slows by the share of errors, once in ten seconds, and comes back within a minute (pace_now);
-- so a carrier that grants a part of the calls soon gets that part.  Where five errors come in a row, or one that says
-- that the account may not call at all, the carrier is away: nothing is begun for a second, then one call is tried, and
-- each that fails makes the next hold twice as long, up to hold_max_s.  So a carrier that answers nothing but errors
-- costs a call or so per hold, not the queue.
--
-- Moves    claimed -> queued at a hold, so that after it nothing but the trial is dialed
-- Returns  where dialing slows: which part of its rate is left, and the hold in seconds where one begins
-- Races    errors of calls begun before a hold ended are what that hold is for: they prolong nothing
-- Undo     an accepted call ends the row of errors and the holds (events.sql); so does resume_scope
with account as (
    select *
      from dial_control
     where (scope, key) = (case when :business_id::bigint is null then 'account' else 'business' end,
                           coalesce(:business_id::bigint::text, ''))
       for update
), news as (
    select account.*, answered.answers, troubles + :in_a_row as in_a_row, window_troubles + :troubles as errors,
           answered.answers - window_answers + window_troubles + :troubles as asked,
           coalesce(slowed_at > now() - interval '60 s', false) as is_slowed,
           greatest(1, extract(epoch from now() - window_began_at)) as window_s
      from account
     cross join (select coalesce(sum(value), 0)::bigint as answers
                   from counter
                  where name = 'report.create' or name = 'dial' and label = 'refused') as answered
     where coalesce(:begun_at::timestamptz >= carrier_hold_until, true)
), judged as (
    select news.*, hold.is_due as holds,
           not hold.is_due and errors >= 3 and asked >= 10 and (errors - 1) * 20 > asked
           and coalesce(window_began_at between now() - interval '60 s'
                        and now() - make_interval(secs => case when is_slowed then 10 else 1 end), false) as slows
      from news
     cross join lateral (select :of_account or in_a_row >= 5 or carrier_holds > 0 as is_due) as hold
), told as (
    update dial_control
       set troubles = in_a_row,
           carrier_holds = judged.carrier_holds + holds::integer,
           carrier_hold_until = case
               when holds then now() + make_interval(secs => least(:hold_max_s, 2 ^ least(judged.carrier_holds, 12)))
               else judged.carrier_hold_until
           end,
           slow_factor = case
               when holds or slows
                   then greatest(0.05, pace_now(1, judged.slow_factor, judged.slowed_at)
                                       * case when holds then 0.5 else 1 - errors::float8 / asked end)
               else judged.slow_factor
           end,
           slowed_from = case
               when is_slowed then judged.slowed_from
               -- Tokens come at three quarters of a rate (pace_tokens).
               when slows then asked / window_s / 0.75
               -- What was dialed lately is known only from a window that began lately.
               when judged.window_began_at > now() - interval '60 s' then greatest(100, asked / window_s / 0.75)
               else 100
           end,
           slowed_at = case when holds or slows then now() else judged.slowed_at end,
           window_began_at = case when begins_anew then now() else judged.window_began_at end,
           window_answers = case when begins_anew then answers else judged.window_answers end,
           window_troubles = case when begins_anew then 0 else errors end
      from judged
     cross join lateral (
           select holds or slows or coalesce(judged.window_began_at < now() - interval '60 s', true) as begins_anew
     ) as window_of
     where dial_control.scope = judged.scope and dial_control.key = judged.key
    returning holds, slows, dial_control.slow_factor as pace,
              case when holds then extract(epoch from dial_control.carrier_hold_until - now())::float8 end as hold_s
), claim as (
    select call_log.id
      from told
     inner join call_log on call_log.status = 'claimed'
     inner join business on business.id = call_log.business_id
     where holds
       and case
               when :business_id::bigint is null then business.carrier_account is null
               else business.id = :business_id::bigint
           end
     order by call_log.id
       for update of call_log skip locked
), taken_back as (
    update call_log set status = 'queued', overdue_at = null from claim where call_log.id = claim.id
)
select pace, hold_s from told where holds or slows;
