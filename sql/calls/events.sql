-- events.sql: write down what the carrier says, in any order.  Read by outbound/calls/events.py alone.

-- name: record_reports(reports, ring_s, talk_s, lead_s, relook_s)
-- Keep what the carrier reported of some calls, and move each call forward if this is news.  The create answer,
-- callbacks and look-ups all come through here, so it does not matter which of them is first.
--
-- `reports` is a JSON array, at most one report of a call, with the fields of `told` below.
--
-- Moves    any live status -> a later one; failed for want of a call_sid -> its true status, but to a live one only
--          where no other live call holds the number.  The first report gives the row its call_sid (adoption).
--          Only a report that names our number may do so: ids repeat after a restore, and another call is not ours.
--          A callback has to name it always, to be signed for the account of its call (`signed_for`, the account's names:
--          '' is TWILIO_ACCOUNT_SID), and to come with a tag (callback_tag.py), but for those of the version before
--          (takes_untagged).
--          claimed -> queued, and held, where a callback speaks of a call that was never dialed here: the carrier is
--          asked first (reconcile.sql).
--          A word that no carrier may say of its call (an unknown one, or one of our queue) counts as `initiated`.
--          (nothing) -> queued: the next attempt of the retry policy of the campaign, or else of the business, where the
--          carrier says that the call ended busy, unanswered or failed.  What we closed ourselves gets none; nor does
--          a callee whom another live call has by now.  A key of its own makes each attempt once.
--          A callback that is repeated changes nothing.
-- Returns  of each report: `result` (moved, unchanged, unknown_status, never_dialed; other_account, untagged,
--          other_call_sid or unknown_call: refused), the status, and is a lead due
-- Races    the dial that waits for its answer, other callbacks, clean-up: all take the row lock, rank decides
-- Create answers do not wait for the disk: a server that crashes and forgets one is a worker that died before it
-- wrote, and the first callback adopts the call.
with told as materialized (
    select told.*, coalesce(call_status_rank(told.status), 0) < 2 as is_strange
      from jsonb_to_recordset(:reports::jsonb)
        as told (call_id bigint, call_sid text, to_number text, status text, source text, sequence_number integer,
                 occurred_at timestamptz, duration_s integer, answered_by text, sip_code integer, payload jsonb,
                 is_untagged boolean, signed_for text[])
), hurry as materialized (
    select set_config('synchronous_commit',
                      case when bool_and(source = 'create') then 'off' else current_setting('synchronous_commit') end,
                      true) as commits
      from told
), call as (
    select call_log.id, call_log.status as was, told.call_sid as told_call_sid, told.source, told.occurred_at,
           told.duration_s as told_duration_s,
           told.answered_by as told_answered_by, told.sip_code, told.sequence_number, told.payload, told.is_strange,
           told.status as told_status, reported.status as reported, call_log.lead_id as had_lead,
           call_log.paused_at as was_held_at, call_log.call_sid is null as is_unbound,
           told.source = 'callback' and call_log.direction = 'outbound'
           and call_log.status in ('queued', 'claimed') as is_never_dialed,
           call_status_rank(reported.status) > call_status_rank(call_log.status)
           or call_awaits_truth(call_log.status, error_code)
              and (call_status_rank(reported.status) = 5
                   or not exists (select
                                    from call_log as other
                                   where other.business_id = call_log.business_id
                                     and phone_key(other.to_number) = phone_key(call_log.to_number)
                                     and other.direction = 'outbound'
                                     and other.status in ('queued', 'claimed', 'initiated', 'ringing', 'in-progress')
                                     and other.id <> call_log.id)) as is_news
      from hurry
     cross join told
     cross join lateral (select case when told.is_strange then 'initiated' else told.status end as status) as reported
     inner join call_log on call_log.id = told.call_id
     where (call_log.call_sid = told.call_sid
               and (told.source <> 'callback' or call_log.direction = 'inbound')
            or coalesce(call_log.call_sid, told.call_sid) = told.call_sid
               and phone_key(coalesce(told.to_number, call_log.to_number))
                   is not distinct from phone_key(call_log.to_number))
       and (told.is_untagged is not true or takes_untagged(call_log.dialed_at))
       and (told.source <> 'callback' or coalesce(account_of_call(call_log), '') = any(told.signed_for))
     order by call_log.id
       for update of call_log
), event as (
    insert into call_event (call_id, call_sid, source, status, sequence_number, occurred_at, payload)
    select id, told_call_sid, source, told_status, sequence_number, occurred_at, payload from call
    on conflict do nothing
    returning call_id, source, occurred_at
), in_question as (
    -- Asked again where the carrier knew nothing of it, and now says more: its lists lag behind.
    insert into call_in_question (call_id, call_sid, was_paused)
    select id, told_call_sid,
           was_held_at is not null
           and coalesce((select bool_or(was_paused)
                           from call_in_question
                          where call_id = call.id and answer is null), true)
      from call
     inner join event on event.call_id = call.id
     where is_never_dialed
    on conflict (call_id, call_sid) do update
       set answer = null, looks = 0, looked_at = null, was_paused = excluded.was_paused
     where call_in_question.answer in ('absent', 'other_call')
    returning call_id
), said_why as (
    insert into audit (who, action, scope, key, details)
    select 'outbound', 'pause', 'call', call_id,
           '{"reason": "The carrier speaks of this call, which was never dialed here: it is asked first."}'::jsonb
      from in_question
), held as (
    update call_log
       set status = 'queued', overdue_at = null, paused_at = coalesce(paused_at, now())
      from in_question
     where call_log.id = in_question.call_id and status in ('queued', 'claimed')
), news as (
    select call.*
      from call
      left join event on event.call_id = call.id
     where not is_never_dialed
       and (is_news or is_unbound or event.call_id is not null or call.source <> 'callback')
), answered as (
    update call_in_question
       set answer = 'adopted'
      from news
     where call_in_question.call_id = news.id and call_in_question.call_sid = news.told_call_sid
       and call_in_question.answer is null
), moved as (
    update call_log
       set call_sid = told_call_sid,
           looks = 0,
           status = case when is_news then reported else status end,
           -- The carrier knows a call that was never dialed here.
           dialed_at = case
               when was in ('queued', 'claimed') then coalesce(dialed_at, occurred_at, now()) else dialed_at
           end,
           paused_at = case when was in ('queued', 'claimed') then null else paused_at end,
           answered_at = case
               when reported = 'in-progress' and (is_news or occurred_at is not null)
                   then least(answered_at, coalesce(occurred_at, now()))
               else answered_at
           end,
           ended_at = case
               when not is_news then ended_at
               when call_status_rank(reported) = 5 then coalesce(occurred_at, now())
           end,
           duration_s = coalesce(told_duration_s, duration_s),
           answered_by = coalesce(told_answered_by, answered_by),
           error_code = case
               when not is_news then error_code
               when reported = 'failed' then coalesce('sip_' || sip_code::text, 'carrier_failed')
           end,
           error_message = case
               when not is_news and call_log.call_sid is null and call_is_in_doubt(status, error_code)
                   then 'Its call_sid came late, while another call held the number; its end is awaited.'
               when not is_news then error_message
               when reported = 'failed' then 'The carrier could not complete the call.'
           end,
           overdue_at = case
               when not is_news and call_is_in_doubt(status, error_code)
                   then case
                       when call_log.call_sid is null then now() + make_interval(secs => :ring_s)
                       when source = 'lookup' then now() + make_interval(secs => :relook_s)
                       else overdue_at
                   end
               when call_status_rank(case when is_news then reported else status end) = 5
                   then case
                       when lead_id is not null then null
                       when is_news or call_log.call_sid is null then now() + make_interval(secs => :lead_s)
                       else overdue_at
                   end
               when is_news and reported = 'in-progress' then now() + make_interval(secs => :talk_s)
               when is_news or call_log.call_sid is null then now() + make_interval(secs => :ring_s)
               when source = 'lookup' then now() + make_interval(secs => :relook_s)
               else overdue_at
           end
      from news
     where call_log.id = news.id
    returning call_log.*, is_news, is_strange, source, was
), next_attempt as (
    -- The n-th end of its kind takes the n-th wait of the retry policy; past the last one nobody is tried again.
    insert into call_log (business_id, campaign_id, direction, status, from_number, to_number, due_at, attempt,
                          retry_of, contact, time_zone, idempotency_key, batch_id)
    select moved.business_id, moved.campaign_id, 'outbound', 'queued', next.from_number, moved.to_number, now() + wait,
           next.attempt, next.retry_of, moved.contact, moved.time_zone,
           'retry:' || next.retry_of || ':' || next.attempt, moved.batch_id
      from moved
     inner join business on business.id = moved.business_id
      left join campaign on campaign.id = moved.campaign_id
     cross join lateral (
           select least(moved.attempt, 2147483646) + 1 as attempt, coalesce(moved.retry_of, moved.id) as retry_of,
                  coalesce(campaign_from_number(moved.campaign_id, moved.to_number,
                                                least(moved.attempt, 2147483646) + 1),
                           moved.from_number) as from_number
     ) as next
     inner join retry_step
        on retry_step.ladder_id = coalesce(campaign.ladder_id, business.ladder_id)
       and retry_step.outcome = moved.status
       and retry_step.step = 1 + (select count(*)
                                    from call_log as earlier
                                   where (earlier.id = next.retry_of or earlier.retry_of = next.retry_of)
                                     and earlier.id <> moved.id
                                     and earlier.status = moved.status)
     where is_news
       and moved.direction = 'outbound'
       and moved.hang_up is null  -- an operator wanted an end of it
       and coalesce(moved.idempotency_key, '') not like 'recovered:%'  -- its row is lost: what is unknown is not dialed
       and coalesce(campaign.ends_at > now(), true)
       and next.from_number ~ '^\+[1-9][0-9]{6,14}$'  -- rows of the old system may hold anything
       and moved.to_number ~ '^\+[1-9][0-9]{6,14}$'
    on conflict do nothing
    returning retry_of, attempt
), carrier_well as (
    -- The carrier took this one: nothing is refused or in trouble in a row any more (dial.sql).
    update dial_control
       set refused_calls = '{}', troubles = 0, carrier_holds = 0, carrier_hold_until = null
      from moved
     where moved.source = 'create'
       and (scope, key) in ((case when moved.carrier_account is null then 'account' end, ''),
                            ('business', business_id::text), ('campaign', campaign_id::text), ('number', from_number))
       and (refused_calls <> '{}' or troubles <> 0)
), result as (
    select told.call_id, told.source, is_never_dialed,
           case
               when is_never_dialed then 'never_dialed'
               when call.is_news then 'moved'
               when call.is_strange then 'unknown_status'
               when call.id is not null then 'unchanged'
               when (select id from call_log where id = told.call_id) is null then 'unknown_call'
               when told.source = 'callback'
                    and not coalesce((select coalesce(account_of_call(call_log), '') = any(told.signed_for)
                                        from call_log
                                       where id = told.call_id), false)
                   then 'other_account'
               when told.is_untagged
                    and not (select takes_untagged(dialed_at) from call_log where id = told.call_id)
                   then 'untagged'
               else 'other_call_sid'
           end as result,
           moved.id is not null or event.call_id is not null as is_written,
           coalesce(moved.status, call.was) as status,
           -- Once: a call that ends after it was answered had its nudge then.
           coalesce(call.had_lead is null and not is_never_dialed
                    and coalesce(moved.status, call.was) not in ('initiated', 'ringing')
                    and not (call.is_news and call.was = 'in-progress'), false) as lead_due
      from told
      left join call on call.id = told.call_id
      left join moved on moved.id = told.call_id
      left join event on event.call_id = told.call_id
), counted as (
    insert into counter (name, label, value)
    select name, label, sum(value)
      from (select 'report.' || source as name, result as label, 1 as value
              from result
             where is_written
            union all
            select 'ended', status, 1 from moved where is_news and call_status_rank(status) = 5
            union all
            select 'retry', moved.status, 1
              from moved
             inner join next_attempt
                on next_attempt.retry_of = coalesce(moved.retry_of, moved.id)
               and next_attempt.attempt = least(moved.attempt, 2147483646) + 1
            union all
            select took.*
              from event
             inner join moved on moved.id = event.call_id
             cross join lateral seconds_counted('dial_seconds', extract(epoch from now() - dialed_at)::float8) as took
             where event.source = 'create'
            union all
            select took.*
              from event
             cross join lateral seconds_counted('callback_lag_seconds',
                                                extract(epoch from now() - occurred_at)::float8) as took
             where source = 'callback') as news
     group by name, label
     order by name, label
    on conflict (name, label, slot) do update set value = counter.value + excluded.value
)
select call_id, result, status, lead_due from result;

-- name: record_answered_by(call_id, call_sid, answered_by, payload, is_untagged, signed_for)$
-- Keep what machine detection found out: the carrier says it apart from the call's status, and names no number, so that
-- it cannot adopt a call.
--
-- Moves    nothing
-- Returns  `kept`; `no_call_sid_yet`, and the carrier had better say it again; `other_account`, `untagged`,
--          `other_call_sid` or `unknown_call` (refused)
-- Races    it is told again: one event, and the same word
with call as (
    select id, not :is_untagged::boolean or takes_untagged(dialed_at) as may_speak,
           coalesce(account_of_call(call_log), '') = any(:signed_for::text[]) as is_its_account,
           call_log.call_sid = :call_sid and (not :is_untagged::boolean or takes_untagged(dialed_at)) as is_meant
      from call_log
     where id = :call_id
       for update
), event as (
    insert into call_event (call_id, call_sid, source, status, payload)
    select id, :call_sid, 'answered-by', :answered_by, :payload from call where is_meant and is_its_account
    on conflict do nothing
    returning call_id
), kept as (
    update call_log set answered_by = :answered_by from event where call_log.id = event.call_id
)
select case
           when not is_its_account then 'other_account'
           when is_meant then 'kept'
           when not may_speak then 'untagged'
           when is_meant is null then 'no_call_sid_yet'
           else 'other_call_sid'
       end
  from call
union all
select 'unknown_call' where not exists (select from call);

-- name: called_number(call_id)$
-- Returns  the number that a call is made to, which never changes; or nothing
select to_number from call_log where id = :call_id;

-- name: find_inbound_call(call_sid)$
-- Returns  the id of the inbound call that has this call_sid, or nothing
select id from call_log where call_sid = :call_sid and direction = 'inbound';

-- name: record_inbound_call(call_sid, from_number, to_number, ring_s, signed_for)^
-- Write down a call that came in to one of our numbers, through the account of its business.
--
-- Moves    (nothing) -> ringing
-- Returns  what its business says, or nothing: the number is nobody's, and is never given to some business; or who says
--          it is not the account of its business
-- Races    the carrier asks twice: the second time finds the row
with owner as (
    select business.id, business.voice_url, business.twiml, business.carrier_account
      from business_number
     inner join business on business.id = business_number.business_id
     where business_number.phone = :to_number and coalesce(carrier_account, '') = any(:signed_for::text[])
), inserted as (
    insert into call_log (business_id, direction, from_number, to_number, call_sid, status, overdue_at,
                          carrier_account)
    -- No number and no SIP address is longer: what is, names nobody.
    select id, 'inbound', case when length(:from_number) <= 64 then :from_number else 'anonymous' end, :to_number,
           :call_sid, 'ringing', now() + make_interval(secs => :ring_s), carrier_account
      from owner
    on conflict do nothing
)
select voice_url, twiml from owner;
