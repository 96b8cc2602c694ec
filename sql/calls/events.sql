-- events.sql: write down what the carrier says, in any order.  Read by outbound/calls/events.py alone.

-- name: record_reports(reports, ring_s, talk_s, lead_s, relook_s)
-- Keep what the carrier reported of some calls, and move each call forward if this is news.  The create answer,
-- callbacks and look-ups all come through here, so it does not matter which of them is first.
--
-- `reports` is a JSON array, at most one report of a call, as read_reports takes it.
--
-- Moves    any live status -> a later one; failed for want of a call_sid -> its true status, but to a live one only
--          where no other live call holds the number.  The first report gives the row its call_sid (adoption).
--          Only a report that names our number may do so: ids repeat after a restore, and another call is not ours.
--          A callback has to name it always, to be signed for the account of its call (`signed_for`, the account's names:
--          '' is TWILIO_ACCOUNT_SID), and to come with a tag (callback_tag.py), except those of the version before
--          (takes_untagged).  All that is may_report.
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
    select * from read_reports(:reports::jsonb)
), hurry as materialized (
    select set_config('synchronous_commit', 'off', true) from told having bool_and(source = 'create')
), call as (
    select told.*, call_log as whole, call_log.status as was, report_is_news(call_log, told.reported) as is_news,
           told.source = 'callback' and call_log.direction = 'outbound'
           and call_log.status in ('queued', 'claimed') as is_never_dialed
      from told
     inner join call_log on call_log.id = told.call_id
     where may_report(call_log, told.call_sid, told.to_number, told.source, told.is_untagged, told.signed_for)
     order by call_log.id
       for update of call_log
), event as (
    insert into call_event (call_id, call_sid, source, status, sequence_number, occurred_at, payload)
    select call_id, call_sid, source, status, sequence_number, occurred_at, payload from call
    on conflict do nothing
    returning call_id, source, occurred_at
), in_question as materialized (
    select put_in_question(call_id, call_sid, (whole).paused_at is not null)
      from call
     inner join event using (call_id)
     where is_never_dialed
), news as (
    select call.*
      from call
      left join event using (call_id)
     where not is_never_dialed
       and (is_news or (whole).call_sid is null or event.call_id is not null or call.source <> 'callback')
), answered as (
    update call_in_question
       set answer = 'adopted'
      from news
     where call_in_question.call_id = news.call_id and call_in_question.call_sid = news.call_sid
       and call_in_question.answer is null
), moved as (
    update call_log
       set call_sid = news.call_sid,
           looks = 0,
           (status, dialed_at, paused_at, answered_at, ended_at, error_code, error_message, overdue_at)
           = (select *
                from call_after_report(whole, reported, is_news, source, occurred_at, sip_code, :ring_s, :talk_s,
                                       :lead_s, :relook_s)),
           duration_s = coalesce(news.duration_s, call_log.duration_s),
           answered_by = coalesce(news.answered_by, call_log.answered_by)
      from news
     where call_log.id = news.call_id
    returning call_log as now_whole, call_log.*, is_news, source
), next_attempt as (
    insert into call_log (business_id, campaign_id, direction, status, from_number, to_number, due_at, attempt,
                          retry_of, contact, time_zone, idempotency_key, batch_id)
    select moved.business_id, moved.campaign_id, 'outbound', 'queued', next.from_number, moved.to_number,
           now() + next.wait, next.attempt, next.retry_of, moved.contact, moved.time_zone,
           'retry:' || next.retry_of || ':' || next.attempt, moved.batch_id
      from moved
     cross join lateral next_attempt(now_whole) as next
     where is_news
    on conflict do nothing
    returning retry_of, attempt
), carrier_well as materialized (
    select end_troubles(array_agg(now_whole)) from moved where source = 'create' having count(*) > 0
), result as (
    select told.call_id, told.source, coalesce(moved.status, call.was) as status,
           case
               when is_never_dialed then 'never_dialed'
               when call.is_news then 'moved'
               when call.is_strange then 'unknown_status'
               when call.call_id is not null then 'unchanged'
               else report_refusal(told.call_id, told.source, told.is_untagged, told.signed_for)
           end as result,
           moved.id is not null or event.call_id is not null as is_written,
           coalesce(not is_never_dialed
                    and report_makes_lead_due(whole, coalesce(moved.status, call.was), call.is_news), false) as lead_due
      from told
      left join call on call.call_id = told.call_id
      left join moved on moved.id = told.call_id
      left join event on event.call_id = told.call_id
), counted as (
    insert into counter (name, label, value)
    select name, label, sum(value)
      from (select 'report.' || source as name, result as label, 1 as value from result where is_written
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
              left join moved on moved.id = event.call_id
             cross join lateral seconds_of_report(event.source, dialed_at, occurred_at) as took) as news
     group by name, label
     order by name, label
    on conflict (name, label, slot) do update set value = counter.value + excluded.value
)
select call_id, result, status, lead_due from result
 where (select count(*) from in_question) + (select count(*) from carrier_well) + (select count(*) from hurry) >= 0;

-- name: record_answered_by(call_id, call_sid, answered_by, payload, is_untagged, signed_for)$
-- Keep what machine detection found out: the carrier says it apart from the call's status, and names no number, so that
-- it cannot adopt a call.
--
-- Moves    nothing
-- Returns  `kept`; `no_call_sid_yet`, and the carrier had better say it again; `other_account`, `untagged`,
--          `other_call_sid` or `unknown_call` (refused)
-- Races    the same report again: one event, and the same result
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
