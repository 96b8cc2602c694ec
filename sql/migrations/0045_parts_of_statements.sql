-- The parts of the longest statements, each of which can be run by itself.
-- depends: 0044_in_scope

do $functions$
begin
-- The live outbound call of a business to this telephone: one at most, by call_log_one_live_keyed.
create or replace function live_call(business_id bigint, to_number text) returns setof call_log
language sql stable rows 1
as $$
    select call_log.*
      from call_log
     where call_log.business_id = $1
       and phone_key(call_log.to_number) = phone_key($2)
       and call_log.direction = 'outbound'
       and call_log.status in ('queued', 'claimed', 'initiated', 'ringing', 'in-progress')
$$;

comment on function live_call(bigint, text) is
    'The live outbound call of a business to a telephone: one at most.';

-- Until when the next word about a call is waited for, after a report of the carrier's.  `is_news` where the report moves
-- it to the status `reported`.  In the air, that is until it must have rung or been talked out; ended, until its lead must
-- have been made; closed without knowledge, as long as it is worth asking.
create or replace function next_deadline(
    call call_log, reported text, is_news boolean, source text, ring_s float8, talk_s float8, lead_s float8,
    relook_s float8
) returns timestamptz
language sql stable
return case
    when not is_news and call_is_in_doubt(call.status, call.error_code)
        then case
            when call.call_sid is null then now() + make_interval(secs => ring_s)
            when source = 'lookup' then now() + make_interval(secs => relook_s)
            else call.overdue_at
        end
    when call_status_rank(case when is_news then reported else call.status end) = 5
        then case
            when call.lead_id is not null then null
            when is_news or call.call_sid is null then now() + make_interval(secs => lead_s)
            else call.overdue_at
        end
    when is_news and reported = 'in-progress' then now() + make_interval(secs => talk_s)
    when is_news or call.call_sid is null then now() + make_interval(secs => ring_s)
    when source = 'lookup' then now() + make_interval(secs => relook_s)
    else call.overdue_at
end;

comment on function next_deadline(call_log, text, boolean, text, float8, float8, float8, float8) is
    'Until when the next word about a call is waited for, after a report of the carrier.';

-- What a report of the carrier's makes of a call.  `is_news` where it moves the call to the status `reported`; otherwise
-- it may still bring the call_sid, or when the call was answered.
create or replace function call_after_report(
    call call_log, reported text, is_news boolean, source text, occurred_at timestamptz, sip_code integer,
    ring_s float8, talk_s float8, lead_s float8, relook_s float8
) returns table (
    status text, dialed_at timestamptz, paused_at timestamptz, answered_at timestamptz, ended_at timestamptz,
    error_code text, error_message text, overdue_at timestamptz
)
language sql stable rows 1
as $$
    select case when $3 then $2 else $1.status end,
           -- The carrier knows a call that was never dialed here.
           case
               when $1.status in ('queued', 'claimed') then coalesce($1.dialed_at, $5, now()) else $1.dialed_at
           end,
           case when $1.status in ('queued', 'claimed') then null else $1.paused_at end,
           case
               when $2 = 'in-progress' and ($3 or $5 is not null) then least($1.answered_at, coalesce($5, now()))
               else $1.answered_at
           end,
           case when not $3 then $1.ended_at when call_status_rank($2) = 5 then coalesce($5, now()) end,
           case
               when not $3 then $1.error_code
               when $2 = 'failed' then coalesce('sip_' || $6::text, 'carrier_failed')
           end,
           case
               when not $3 and $1.call_sid is null and call_is_in_doubt($1.status, $1.error_code)
                   then 'Its call_sid came late, while another call held the number; its end is awaited.'
               when not $3 then $1.error_message
               when $2 = 'failed' then 'The carrier could not complete the call.'
           end,
           next_deadline($1, $2, $3, $4, $7, $8, $9, $10)
$$;

comment on function call_after_report(call_log, text, boolean, text, timestamptz, integer, float8, float8, float8, float8) is
    'What a report of the carrier makes of a call: its status, moments, error and deadline.';

-- The next attempt that the retry policy of an ended call has for it: its number, the first attempt, its from-number and
-- how long it waits.  The policy is that of the campaign, or else of the business.  The n-th end of its kind takes the n-th
-- wait; past the last one nobody is tried again.  No row: there is no next attempt.
create or replace function next_attempt(call call_log)
returns table (attempt integer, retry_of bigint, from_number text, wait interval)
language sql stable rows 1
as $$
    select next.attempt, next.retry_of, next.from_number, retry_step.wait
      from business
      left join campaign on campaign.id = $1.campaign_id
     cross join lateral (
           select least($1.attempt, 2147483646) + 1 as attempt, coalesce($1.retry_of, $1.id) as retry_of,
                  coalesce(campaign_from_number($1.campaign_id, $1.to_number, least($1.attempt, 2147483646) + 1),
                           $1.from_number) as from_number
     ) as next
     inner join retry_step
        on retry_step.ladder_id = coalesce(campaign.ladder_id, business.ladder_id)
       and retry_step.outcome = $1.status
       and retry_step.step = 1 + (select count(*)
                                    from call_log as earlier
                                   where (earlier.id = next.retry_of or earlier.retry_of = next.retry_of)
                                     and earlier.id <> $1.id
                                     and earlier.status = $1.status)
     where business.id = $1.business_id
       and $1.direction = 'outbound'
       and $1.hang_up is null  -- an operator wanted an end of it
       and coalesce($1.idempotency_key, '') not like 'recovered:%'  -- its row is lost: what is unknown is not dialed
       and coalesce(campaign.ends_at > now(), true)
       and next.from_number ~ '^\+[1-9][0-9]{6,14}$'  -- rows of the old system may hold anything
       and $1.to_number ~ '^\+[1-9][0-9]{6,14}$'
$$;

comment on function next_attempt(call_log) is
    'The next attempt that the retry policy has for an ended call, and how long it waits; no row where there is none.';

-- The reports of a JSON array, as record_reports (events.sql) takes them.  `reported` is the status that counts: a word that
-- no carrier may say of its call (an unknown one, or one of our queue) `is_strange` and counts as `initiated`.
create or replace function read_reports(reports jsonb)
returns table (
    call_id bigint, call_sid text, to_number text, status text, source text, sequence_number integer,
    occurred_at timestamptz, duration_s integer, answered_by text, sip_code integer, payload jsonb, is_untagged boolean,
    signed_for text[], is_strange boolean, reported text
)
language sql stable
as $$
    select told.*, rank.is_strange, case when rank.is_strange then 'initiated' else told.status end
      from jsonb_to_recordset($1)
        as told (call_id bigint, call_sid text, to_number text, status text, source text, sequence_number integer,
                 occurred_at timestamptz, duration_s integer, answered_by text, sip_code integer, payload jsonb,
                 is_untagged boolean, signed_for text[])
     cross join lateral (select coalesce(call_status_rank(told.status), 0) < 2 as is_strange) as rank
$$;

comment on function read_reports(jsonb) is
    'The reports of a JSON array, with the status that counts for each.';

-- May a report that names this call_sid and number speak of this call?  Only of its own call_sid, or of its number where
-- it has none yet; a callback of an outbound call names both.  A callback has to be signed for the account of its call,
-- and to come with a tag, but for those of the version before.
create or replace function may_report(
    call call_log, call_sid text, to_number text, source text, is_untagged boolean, signed_for text[]
) returns boolean
language sql stable
return (call.call_sid = may_report.call_sid
        and (may_report.source <> 'callback' or call.direction = 'inbound')
        or coalesce(call.call_sid, may_report.call_sid) = may_report.call_sid
           and phone_key(coalesce(may_report.to_number, call.to_number)) is not distinct from phone_key(call.to_number))
    and (may_report.is_untagged is not true or takes_untagged(call.dialed_at))
    and (may_report.source <> 'callback' or coalesce(account_of_call(call), '') = any(may_report.signed_for));

comment on function may_report(call_log, text, text, text, boolean, text[]) is
    'Whether a report that names this call_sid and number may speak of a call.';

-- Why a report that record_reports (events.sql) refused is of no call: there is none of this id, the account that signed
-- it is not its call's, it has no tag, or it names another call_sid or number.
create or replace function report_refusal(call_id bigint, source text, is_untagged boolean, signed_for text[])
returns text
language sql stable
as $$
    select case
               when call_log.id is null then 'unknown_call'
               when $2 = 'callback' and not coalesce(coalesce(account_of_call(call_log), '') = any($4), false)
                   then 'other_account'
               when $3 and not takes_untagged(dialed_at) then 'untagged'
               else 'other_call_sid'
           end
      from (values ($1)) as told (id)
      left join call_log on call_log.id = told.id
$$;

comment on function report_refusal(bigint, text, boolean, text[]) is
    'Why a refused report is of no call: unknown_call, other_account, untagged or other_call_sid.';

-- A callback speaks of a call that was never dialed here: hold the call, and have the carrier asked about this call_sid.
-- Where the carrier knew nothing of it and now says more, it is asked again: its lists lag behind.  `was_paused` where
-- the call is held already; it stays so where no question did that.
--
-- Moves    queued, claimed -> queued, and held
-- Returns  is the carrier to be asked
create or replace function put_in_question(call_id bigint, call_sid text, was_paused boolean) returns boolean
language sql
as $$
    with question as (
        insert into call_in_question (call_id, call_sid, was_paused)
        values ($1, $2,
                $3 and coalesce((select bool_or(other.was_paused)
                                   from call_in_question as other
                                  where other.call_id = $1 and other.answer is null), true))
        on conflict (call_id, call_sid) do update
           set answer = null, looks = 0, looked_at = null, was_paused = excluded.was_paused
         where call_in_question.answer in ('absent', 'other_call')
        returning call_in_question.call_id
    ), said_why as (
        insert into audit (who, action, scope, key, details)
        select 'outbound', 'pause', 'call', question.call_id,
               '{"reason": "The carrier speaks of this call, which was never dialed here: it is asked first."}'::jsonb
          from question
    ), held as (
        update call_log
           set status = 'queued', overdue_at = null, paused_at = coalesce(paused_at, now())
          from question
         where call_log.id = question.call_id and status in ('queued', 'claimed')
    )
    select exists (select from question)
$$;

comment on function put_in_question(bigint, text, boolean) is
    'Hold a call that was never dialed here, and have the carrier asked about the call_sid that a callback named.';

-- Is a call one of those that a search asks for?  NULL asks for all.
create or replace function call_fits(
    call call_log, with_statuses text[], in_business bigint, in_campaign bigint, with_error text, with_answerer text,
    in_batch bigint
) returns boolean
language sql immutable
return (with_statuses is null or call.status = any(with_statuses))
    and (in_business is null or call.business_id = in_business)
    and (in_campaign is null or call.campaign_id = in_campaign)
    and (with_error is null or call.error_code = with_error)
    and (with_answerer is null or call.answered_by = with_answerer)
    and (in_batch is null or call.batch_id = in_batch);

comment on function call_fits(call_log, text[], bigint, bigint, text, text, bigint) is
    'Whether a call is one of those that a search asks for; NULL asks for all.';

-- How find_calls goes about a search: what leads it, whether the calls that this finds must be looked at one by one
-- (`is_picky`), and between which moments.  No row where this role may not search by a number.
create or replace function plan_search(
    with_number text, in_business bigint, in_campaign bigint, with_error text, with_answerer text, in_batch bigint,
    since timestamptz, until timestamptz, before_at timestamptz, before_id bigint, scan_max integer
) returns table (lead text, is_picky boolean, from_at timestamptz, last_at timestamptz, last_id bigint)
language sql stable rows 1
as $$
    with batch as materialized (
        -- One that is too large to be sorted is looked for among the others.
        select count(*) > scan_max as is_large
          from (select from call_log where batch_id = in_batch and retry_of is null
                union all
                select from call_log where batch_id = in_batch and retry_of is not null
                limit scan_max + 1) as first
         where in_batch is not null
    ), asked as materialized (
        select case
                   when with_number is not null then 'number'
                   when in_batch is not null and not is_large then 'batch'
                   when with_error is not null then 'error'
                   when in_campaign is not null then 'campaign'
                   else 'business'
               end as lead,
               coalesce(in_batch is not null and is_large, false) as is_in_large_batch
          from (values (null)) as one
          left join batch on true
         where with_number is null or has_column_privilege(session_user, 'call_log', 'to_number', 'select')
    )
    select asked.lead,
           is_in_large_batch
           or asked.lead in ('error', 'campaign', 'business') and with_answerer is not null
           or asked.lead = 'error' and coalesce(in_campaign, in_business) is not null,
           coalesce(since, '-infinity'),
           -- One bound, at which a scan of an index begins; of two, one would only be a filter.
           least(before_at, until, 'infinity'),
           case when before_at < coalesce(until, 'infinity') then before_id else 0 end
      from asked
$$;

comment on function plan_search(text, bigint, bigint, text, text, bigint, timestamptz, timestamptz, timestamptz, bigint, integer) is
    'What leads a search for calls, whether calls must be looked at one by one, and between which moments.';

-- The latest calls of a business that ended with this status, before (last_at, last_id).
create or replace function ended_in_business(
    business_id bigint, status text, from_at timestamptz, last_at timestamptz, last_id bigint, calls_max bigint
) returns table (id bigint, at timestamptz)
language sql stable
as $$
    select call_log.id, coalesce(call_log.ended_at, call_log.created_at)
      from call_log
     where call_log.business_id = $1
       and call_log.status = $2
       and call_log.status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
       and (coalesce(call_log.ended_at, call_log.created_at), call_log.id) < (last_at, last_id)
       and coalesce(call_log.ended_at, call_log.created_at) >= from_at
     order by coalesce(call_log.ended_at, call_log.created_at) desc, call_log.id desc
     limit calls_max
$$;

comment on function ended_in_business(bigint, text, timestamptz, timestamptz, bigint, bigint) is
    'The latest calls of a business that ended with a status, before a place in the list.';

-- The latest calls of a campaign that ended with this status, before (last_at, last_id).
create or replace function ended_in_campaign(
    campaign_id bigint, status text, from_at timestamptz, last_at timestamptz, last_id bigint, calls_max bigint
) returns table (id bigint, at timestamptz)
language sql stable
as $$
    select call_log.id, coalesce(call_log.ended_at, call_log.created_at)
      from call_log
     where call_log.campaign_id = $1
       and call_log.status = $2
       and call_log.status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
       and (coalesce(call_log.ended_at, call_log.created_at), call_log.id) < (last_at, last_id)
       and coalesce(call_log.ended_at, call_log.created_at) >= from_at
     order by coalesce(call_log.ended_at, call_log.created_at) desc, call_log.id desc
     limit calls_max
$$;

comment on function ended_in_campaign(bigint, text, timestamptz, timestamptz, bigint, bigint) is
    'The latest calls of a campaign that ended with a status, before a place in the list.';

-- The latest calls that ended with this status and error, before (last_at, last_id).
create or replace function ended_with_error(
    error_code text, status text, from_at timestamptz, last_at timestamptz, last_id bigint, calls_max bigint
) returns table (id bigint, at timestamptz)
language sql stable
as $$
    select call_log.id, coalesce(call_log.ended_at, call_log.created_at)
      from call_log
     where call_log.error_code = $1
       and call_log.status = $2
       and (coalesce(call_log.ended_at, call_log.created_at), call_log.id) < (last_at, last_id)
       and coalesce(call_log.ended_at, call_log.created_at) >= from_at
     order by coalesce(call_log.ended_at, call_log.created_at) desc, call_log.id desc
     limit calls_max
$$;

comment on function ended_with_error(text, text, timestamptz, timestamptz, bigint, bigint) is
    'The latest calls that ended with a status and an error, before a place in the list.';

-- The calls that wait in a lane and are due last, before (last_at, last_id).
create or replace function waiting_in_lane(
    business_id bigint, campaign_id bigint, from_number text, from_at timestamptz, last_at timestamptz, last_id bigint,
    calls_max bigint
) returns table (id bigint, at timestamptz)
language sql stable
as $$
    select call_log.id, call_log.due_at
      from call_log
     where call_log.business_id = $1
       and coalesce(call_log.campaign_id, 0) = $2
       and call_log.from_number = $3
       and call_log.status = 'queued'
       and call_log.paused_at is null
       and (call_log.due_at, call_log.id) < (last_at, last_id)
       and call_log.due_at >= from_at
     order by call_log.due_at desc, call_log.id desc
     limit calls_max
$$;

comment on function waiting_in_lane(bigint, bigint, text, timestamptz, timestamptz, bigint, bigint) is
    'The calls that wait in a lane and are due last, before a place in the list.';

-- The calls of a telephone: outbound ones that are live, were dialed or never were, and inbound ones.
create or replace function calls_of_telephone(number text, scan_max integer) returns setof call_log
language sql stable
as $$
    select call_log.*
      from business
     cross join lateral (
           select * from live_call(business.id, $1)
            union all
           (select call_log.*
              from call_log
             where call_log.business_id = business.id
               and phone_key(call_log.to_number) = phone_key($1)
               and call_log.direction = 'outbound'
               and call_log.dialed_at is not null
               and call_log.status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
             order by call_log.dialed_at desc
             limit scan_max)
     ) as call_log
     union all
    (select call_log.*
       from call_log
      where phone_key(call_log.to_number) = phone_key($1)
        and call_log.direction = 'outbound'
        and call_log.dialed_at is null
        and call_log.status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
      limit scan_max)
     union all
    (select call_log.*
       from call_log
      where phone_key(call_log.from_number) = phone_key($1) and call_log.direction = 'inbound'
      limit scan_max)
$$;

comment on function calls_of_telephone(text, integer) is
    'The calls of a telephone: outbound ones that are live, were dialed or never were, and inbound ones.';

-- The calls that a search looks at all together, as they are few however long the history is: held one by one and in the
-- air, or those of a telephone or a batch where that leads (plan_search).
create or replace function few_calls(lead text, with_number text, with_error text, in_batch bigint, scan_max integer)
returns setof call_log
language sql stable
as $$
    select call_log.*
      from call_log
     where call_log.status = 'queued' and call_log.paused_at is not null and lead not in ('number', 'batch')
     union all
    select call_log.*
      from call_log
     where call_log.status in ('claimed', 'initiated', 'ringing', 'in-progress') and lead not in ('number', 'batch')
     union all
    -- What waits after an error of its own; by the index of errors, and not by that of the lanes.
    select call_log.*
      from (select call_log.*
              from call_log
             where call_log.error_code = with_error
               and call_log.status = 'queued'
               and coalesce(call_log.ended_at, call_log.created_at) is not null
               and lead = 'error'
             limit scan_max) as call_log
     where call_log.paused_at is null
     union all
    select call_log.* from calls_of_telephone(with_number, scan_max) as call_log where lead = 'number'
     union all
    select call_log.*
      from call_log
     where call_log.batch_id = in_batch and call_log.retry_of is null and lead = 'batch'
     union all
    select call_log.*
      from call_log
     where call_log.batch_id = in_batch and call_log.retry_of is not null and lead = 'batch'
$$;

comment on function few_calls(text, text, text, bigint, integer) is
    'The calls that a search looks at all together, as they are few however long the history is.';

-- The first calls of each branch of a search (find_calls), which plan_search has laid out: of each business, or of the
-- campaign or error that leads, those that ended with each status; of each lane what waits; and the few (few_calls).
-- Of a branch that has `most` calls there may be more.
create or replace function search_branches(
    lead text, is_picky boolean, from_at timestamptz, last_at timestamptz, last_id bigint, with_number text,
    in_business bigint, in_campaign bigint, with_statuses text[], with_error text, with_answerer text, in_batch bigint,
    page_max integer, scan_max integer
) returns table (branch text, id bigint, at timestamptz, most bigint)
language sql stable
as $$
    with past as materialized (
        select status
          from unnest(array['completed', 'busy', 'no-answer', 'failed', 'canceled']) as status
         where status = any(coalesce(with_statuses, array[status]))
    ), place as materialized (
        select business.id as business_id, past.status
          from business
         cross join past
         where lead = 'business' and business.id = coalesce(in_business, business.id)
    ), own_lane as materialized (
        select lane.business_id, lane.campaign_id, lane.from_number
          from lane
         where lead in ('campaign', 'business')
           and with_answerer is null  -- nobody has answered what waits
           and 'queued' = any(coalesce(with_statuses, array['queued']))
           and lane.business_id = coalesce(in_business, lane.business_id)
           and lane.campaign_id = coalesce(in_campaign, lane.campaign_id)
    ), depth as materialized (
        -- What is looked at is shared out among the branches.
        select greatest(page_max, case when is_picky then scan_max / greatest(places, pasts, 1) end) as past_max,
               greatest(page_max, case when is_picky then scan_max / greatest(lanes, 1) end) as lane_max
          from (select (select count(*) from place) as places, (select count(*) from past) as pasts,
                       (select count(*) from own_lane) as lanes) as branches
    )
    select 'past ' || place.business_id || place.status, one.id, one.at, past_max
      from place
     cross join depth
     cross join lateral ended_in_business(place.business_id, place.status, from_at, last_at, last_id, past_max) as one
    union all
    select 'campaign ' || past.status, one.id, one.at, past_max
      from past
     cross join depth
     cross join lateral ended_in_campaign(in_campaign, past.status, from_at, last_at, last_id, past_max) as one
     where lead = 'campaign'
    union all
    select 'error ' || past.status, one.id, one.at, past_max
      from past
     cross join depth
     cross join lateral ended_with_error(with_error, past.status, from_at, last_at, last_id, past_max) as one
     where lead = 'error'
    union all
    select format('lane %s %s %s', business_id, campaign_id, from_number), one.id, one.at, lane_max
      from own_lane
     cross join depth
     cross join lateral waiting_in_lane(business_id, campaign_id, from_number, from_at, last_at, last_id, lane_max) as one
    union all
    select 'few', call.id, call_moment(call), null
      from few_calls(lead, with_number, with_error, in_batch, scan_max) as call
     where call_fits(call, with_statuses, in_business, in_campaign, with_error, with_answerer, in_batch)
$$;

comment on function search_branches(text, boolean, timestamptz, timestamptz, bigint, text, bigint, bigint, text[], text, text, bigint, integer, integer) is
    'The first calls of each branch of a search, and how many calls one may have before it is cut.';

-- One page of calls, newest first, that begins before (before_at, before_id).
--
-- What is asked for narrowest leads: a telephone, a batch, an error, a campaign, else each business and status.  Where that
-- is not all that is asked for, call after call is looked at, scan_max of them at most; the page may then be cut short.
-- Where it ends is told by a row without an id, and the next one begins there.
-- A role that may not read numbers may not search by them: a phone number finds nothing.
--
-- Returns the `id` and the moment (call_moment) of each; and where the search was cut, a row of that moment and `cut_id`.
create or replace function find_calls(
    with_number text, in_business bigint, in_campaign bigint, with_statuses text[], with_error text, with_answerer text,
    in_batch bigint, since timestamptz, until timestamptz, before_at timestamptz, before_id bigint, page_max integer,
    scan_max integer
) returns table (id bigint, at timestamptz, cut_id bigint)
language sql stable security definer rows 50
as $$
    with search as materialized (
        select *
          from plan_search(with_number, in_business, in_campaign, with_error, with_answerer, in_batch, since, until,
                           before_at, before_id, scan_max)
    ), head as (
        select head.*
          from search
         cross join lateral search_branches(lead, is_picky, from_at, last_at, last_id, with_number, in_business,
                                            in_campaign, with_statuses, with_error, with_answerer, in_batch, page_max,
                                            scan_max) as head
    ), counted as materialized (
        select head.*, count(*) over (partition by branch) as found from head
    ), cut as (
        -- Behind the end of a branch that goes on, nothing is known.
        select at, id
          from (select distinct on (branch) at, id from counted where found >= most order by branch, at, id) as ends
         order by at desc, id desc
         limit 1
    ), near as (
        select counted.id, counted.at
          from counted
         cross join search
          left join cut on true
         where (counted.at, counted.id) < (last_at, last_id)
           and (cut.id is null or (counted.at, counted.id) >= (cut.at, cut.id))
           and counted.at >= from_at
         order by counted.at desc, counted.id desc
         limit (select case when not is_picky then page_max end from search)
    ), page as (
        select near.id, near.at
          from near
          -- One look by the key each: as a condition, it might be answered by a look at all calls.
          left join lateral (
               select true as fits
                 from call_log
                where call_log.id = near.id
                  and (select is_picky from search)
                  and call_fits(call_log, with_statuses, in_business, in_campaign, with_error, with_answerer, in_batch)
                limit 1
          ) as looked_at on true
         where fits or not (select is_picky from search)
         order by near.at desc, near.id desc
         limit page_max
    )
    select page.id, page.at, null::bigint from page
    union all
    select null, cut.at, cut.id from cut
$$;

execute format('alter function find_calls(text, bigint, bigint, text[], text, text, bigint, timestamptz, timestamptz,'
               ' timestamptz, bigint, integer, integer) set search_path = %I, pg_temp', current_schema());

-- What limits and stops a call that waits, the widest first: its scopes, as an operator calls them, with what is left of
-- their limits (dial_scope).  `is_elsewhere` where the account is not the one with which its business calls.
create or replace function scopes_of_call(call_id bigint, account_rate float8)
returns table (
    place integer, scope text, key text, called text, zone text, state text, state_reason text, state_since timestamptz,
    troubles integer, carrier_holds integer, carrier_hold_until timestamptz, is_slowed boolean, hold_until timestamptz,
    rate float8, tokens float8, live_max integer, live bigint, unknown bigint, room bigint, spend_code text,
    spend_until timestamptz, is_elsewhere boolean
)
language sql stable
as $$
    select own.*, call_zone(waiting.to_number, waiting.time_zone, waiting.business_id), control.state, control.state_reason,
           control.state_since, control.troubles, control.carrier_holds, control.carrier_hold_until,
           coalesce(control.slowed_at > now() - interval '60 s', false),
           -- A hold of the carrier's for everything is about the calls that have no account of their own.
           case when is_elsewhere then control.hold_until else room.hold_until end, room.rate,
           room.tokens, room.live_max, room.live, room.unknown,
           case when is_elsewhere then room.calm_room else room.room end, room.spend_code, room.spend_until,
           is_elsewhere
      from call_log as waiting
     inner join business on business.id = waiting.business_id
     cross join lateral (
           values (1, 'account', '', 'everything'),
                  (2, 'business', waiting.business_id::text, 'business ' || waiting.business_id),
                  (3, 'campaign', waiting.campaign_id::text, 'campaign ' || waiting.campaign_id),
                  (4, 'number', waiting.from_number, 'number ' || waiting.from_number)
     ) as own (place, scope, key, called)
     inner join dial_control as control on control.scope = own.scope and control.key = own.key
     inner join dial_scope(account_rate) as room on room.scope = own.scope and room.key = own.key
     cross join lateral (select own.scope = 'account' and business.carrier_account is not null as is_elsewhere) as account
     where waiting.id = $1 and waiting.status = 'queued'
$$;

comment on function scopes_of_call(bigint, float8) is
    'The scopes of a call that waits, the widest first, with what is left of their limits.';

-- Why a call that does not wait is not being dialed (why_not_dialed): nobody knows it, it has ended, or it is on its way.
create or replace function why_by_status(call_id bigint)
returns table (place integer, code text, sentence text, until timestamptz, details jsonb)
language sql stable
as $$
    with call as (
        select call_log.*, call_zone(to_number, time_zone, business_id) as zone from call_log where id = $1
    )
    select 0, 'unknown_call', 'There is no call ' || $1 || '.', null::timestamptz, '{}'::jsonb
     where not exists (select from call)
    union all
    select 1, 'ended',
           concat_ws(' ', 'It has ended: ' || status || coalesce(', ' || moment_text(ended_at, zone), '') || '.',
                     'Error ' || error_code || ':', error_message),
           null,
           jsonb_build_object('status', status, 'ended_at', ended_at, 'error_code', error_code,
                              'error_message', error_message)
      from call
     where call_status_rank(status) = 5
    union all
    select 2, 'in_the_air',
           case
               when call_sid is null then 'It is being dialed: the answer of the carrier is awaited.'
               else 'It is in the air: ' || status || '.'
           end
           || case when hang_up is not null then ' An operator has asked to hang up.' else '' end,
           null,
           jsonb_build_object('status', status, 'dialed_at', dialed_at, 'hang_up', hang_up)
      from call
     where status in ('initiated', 'ringing', 'in-progress')
    union all
    select 3, 'claimed',
           'A worker was told to dial it; should it not begin, the call is taken back at '
           || moment_text(overdue_at, zone) || '.',
           overdue_at, '{}'
      from call
     where status = 'claimed'
$$;

comment on function why_by_status(bigint) is
    'Reasons of why_not_dialed: the call is unknown, has ended, is in the air or is claimed.';

-- What in a call that waits, its campaign or its business keeps it from being dialed (why_not_dialed), whatever the limits.
create or replace function why_by_rules(call_id bigint, claim_s float8, ring_s float8, worker_silent_s float8)
returns table (place integer, code text, sentence text, until timestamptz, details jsonb)
language sql stable
as $$
    with waiting as (
        select call_log as whole, call_log.*, call_zone(to_number, call_log.time_zone, call_log.business_id) as zone,
               campaign.starts_at, business.carrier_account as own_account,
               coalesce(campaign.voice_url, campaign.twiml, business.voice_url, business.twiml) is not null as can_speak
          from call_log
         inner join business on business.id = call_log.business_id
          left join campaign on campaign.id = call_log.campaign_id
         where call_log.id = $1 and status = 'queued'
    )
    select 5, 'nothing_to_say',
           'Nobody said what the call plays: give its campaign or its business a voice URL or TwiML.',
           null::timestamptz,
           jsonb_build_object('business_id', business_id, 'campaign_id', campaign_id)
      from waiting
     where not can_speak
    union all
    select 6, 'account_missing', account_sentence(own_account, worker_silent_s), null,
           jsonb_build_object('account', own_account, 'business_id', business_id)
      from waiting
     where account_sentence(own_account, worker_silent_s) is not null
    union all
    select 7, 'not_started', 'Its campaign starts at ' || moment_text(starts_at, zone) || '.', starts_at,
           jsonb_build_object('campaign_id', campaign_id)
      from waiting
     where starts_at > now()
    union all
    select 8, coalesce(held_by, 'not_due'),
           case
               when held_by is not null
                   then coalesce(obstacle_sentence(held_by), 'It is held: ' || held_by || '.')
                        || ' It waits until ' || moment_text(due_at, zone) || '.'
               when put_backs > 0 and error_message is not null
                   then error_message || ' It is tried again from ' || moment_text(due_at, zone) || ' on.'
               when attempt > 1
                   then 'It is attempt ' || attempt || ', which is due at ' || moment_text(due_at, zone) || '.'
               else 'It is due at ' || moment_text(due_at, zone) || '.'
           end,
           due_at, jsonb_build_object('due_at', due_at, 'attempt', attempt, 'put_backs', put_backs)
      from waiting
     where due_at > now()
    union all
    select 9, obstacle.code,
           coalesce(case obstacle.code
                        when 'destination_not_allowed' then destination_sentence(to_number, business_id)
                    end, obstacle_sentence(obstacle.code))
           || case
                  when is_final then ' It will be canceled in its turn.'
                  when obstacle.code = 'registry_check_old' then ''
                  when obstacle.code = 'outside_window' and opens_at is null
                      then ' No hour of the next two weeks is inside.'
                  else ' It may be dialed from ' || moment_text(obstacle.until, zone) || ' on.'
              end,
           obstacle.until, jsonb_build_object('is_final', is_final, 'zones', zones)
      from waiting
     cross join lateral (
           select call_windows(business_id, campaign_id) as windows, callee_zones(to_number, time_zone) as zones
     ) as hours
     cross join lateral (
           select case when windows <> '{}' then next_opening(windows, zones, now(), claim_s + ring_s) end as opens_at
     ) as opening
     cross join lateral call_obstacle(whole, windows, zones, opens_at) as obstacle
$$;

comment on function why_by_rules(bigint, float8, float8, float8) is
    'Reasons of why_not_dialed that lie in a call that waits, its campaign or its business.';

-- What keeps a call that waits from being dialed by itself or in one of its scopes (why_not_dialed): a pause, a hold, a cap,
-- as many live calls as are allowed, or the pace.
create or replace function why_by_limits(call_id bigint, account_rate float8)
returns table (place integer, code text, sentence text, until timestamptz, details jsonb)
language sql stable
as $$
    with scope as materialized (
        select * from scopes_of_call($1, account_rate)
    ), paused (place, called, scope, key, since, reason, zone) as (
        select 0, 'call ' || id, 'call', id::text, paused_at, null, call_zone(to_number, time_zone, business_id)
          from call_log
         where id = $1 and status = 'queued' and paused_at is not null
        union all
        select place, called, scope, key, state_since, state_reason, zone from scope where state <> 'running'
    )
    select 4, 'paused',
           pause_sentence(called, null, since, who, said, zone), null::timestamptz,
           jsonb_build_object('paused', called, 'since', since, 'who', who, 'reason', said)
      from (select * from paused order by place limit 1) as paused
     cross join lateral last_pause(scope, key, since, reason) as mover (who, said)
    union all
    select 10, 'hold',
           case
               when carrier_hold_until = hold_until
                   then format('The carrier is in trouble%s, %s times in a row: nothing is dialed before %s, then one'
                               ' call is tried. `outbound resume %s` ends the wait.',
                               case when scope = 'business' then ' with the account of ' || called end,
                               troubles, moment_text(hold_until, zone), called)
               else format('%s is held until %s: calls are being canceled.',
                           initcap(left(called, 1)) || substr(called, 2), moment_text(hold_until, zone))
           end,
           hold_until, jsonb_build_object('scope', scope, 'key', key, 'troubles', troubles)
      from (select * from scope where hold_until > now() order by hold_until desc limit 1) as held
    union all
    select 11, 'spend_cap',
           spend_sentence(initcap(left(called, 1)) || substr(called, 2), scope, key, spend_code, spend_until),
           spend_until, jsonb_build_object('scope', scope, 'key', key, 'cap', spend_code)
      from (select * from scope where spend_code is not null order by spend_until desc, place limit 1) as capped
    union all
    select 12, 'live_max',
           format('%s has %s calls live%s, and %s are allowed at once.',
                  initcap(left(called, 1)) || substr(called, 2), live,
                  case when unknown > 0 then ', ' || unknown || ' of them with an unknown outcome' end, live_max),
           null,
           jsonb_build_object('scope', scope, 'key', key, 'live', live, 'unknown', unknown, 'live_max', live_max)
      from (select * from scope where live >= live_max order by place limit 1) as full_scope
    union all
    select 13, 'trial', 'The carrier was in trouble: one call at a time is tried, until it takes one.', null,
           jsonb_build_object('troubles', troubles)
      from scope
     where carrier_holds > 0 and room <= 0 and tokens >= 1 and not is_elsewhere
    union all
    select 14, 'pace',
           format('%s may begin %s calls per second%s; the next one may begin at %s.',
                  initcap(left(called, 1)) || substr(called, 2), round(rate::numeric, 2),
                  case when is_slowed then ', slowed because the carrier answers with errors' end,
                  moment_text(next_at, zone)),
           next_at, jsonb_build_object('scope', scope, 'key', key, 'calls_per_second', rate, 'tokens', tokens)
      from (select *, now() + make_interval(secs => (1 - tokens) / (rate * 0.75)) as next_at
              from scope
             where tokens < 1
             order by next_at desc
             limit 1) as paced
$$;

comment on function why_by_limits(bigint, float8) is
    'Reasons of why_not_dialed that lie in pauses and in limits of the scopes of a call that waits.';

-- What keeps a call that waits from being dialed where no rule and no limit does (why_not_dialed): no process that could,
-- every thread busy, or the calls before it in its lane.
create or replace function why_by_processes(
    call_id bigint, worker_silent_s float8, claims_per_thread integer, scheduler_silent_s float8
)
returns table (place integer, code text, sentence text, until timestamptz, details jsonb)
language sql stable
as $$
    with threads as (
        select coalesce(sum(worker.threads), 0) as alive,
               (select count(*) from call_log where status = 'claimed') as claimed
          from worker
         where seen_at > now() - make_interval(secs => worker_silent_s)
    )
    select 15, 'no_worker', 'No worker is alive: start `outbound worker`.', null::timestamptz, '{}'::jsonb
      from threads
     where alive = 0
    union all
    select 16, 'no_scheduler', scheduler_sentence(scheduler_silent_s), null, '{}'
     where scheduler_sentence(scheduler_silent_s) is not null
    union all
    select 17, 'workers_busy',
           format('All %s worker threads are busy: %s calls are claimed for them already.', alive, claimed), null,
           jsonb_build_object('threads', alive, 'claimed', claimed)
      from threads
     where alive * claims_per_thread <= claimed
    union all
    select 18, 'due',
           'It is due and will be taken in its turn: ' || before.calls || ' due calls are before it in its lane.',
           null, jsonb_build_object('before', before.calls)
      from call_log as waiting
     cross join lateral (
           select count(*) as calls
             from call_log as other
            where other.business_id = waiting.business_id
              and coalesce(other.campaign_id, 0) = coalesce(waiting.campaign_id, 0)
              and other.from_number = waiting.from_number
              and other.status = 'queued'
              and other.paused_at is null
              and (other.due_at, other.id) < (waiting.due_at, waiting.id)
     ) as before
     where waiting.id = $1 and waiting.status = 'queued'
$$;

comment on function why_by_processes(bigint, float8, integer, float8) is
    'Reasons of why_not_dialed that lie in the processes, or in the calls that are due before.';

-- Why this call is not being dialed: the first reason that holds, in a sentence that an operator can act upon, and until
-- when, where that is known.  The reasons are those of the claim (dispatch.sql), in the order in which they must be mended,
-- which is their `place`; the arguments are what the claim is given.
create or replace function why_not_dialed(
    call_id bigint, claim_s float8 default 30, ring_s float8 default 30, worker_silent_s float8 default 10,
    claims_per_thread integer default 16, account_rate float8 default null, scheduler_silent_s float8 default 60
) returns table (code text, sentence text, until timestamptz, details jsonb)
language sql stable
as $$
    select code, sentence, until, details
      from (select * from why_by_status($1)
            union all
            select * from why_by_rules($1, claim_s, ring_s, worker_silent_s)
            union all
            select * from why_by_limits($1, account_rate)
            union all
            select * from why_by_processes($1, worker_silent_s, claims_per_thread, scheduler_silent_s)) as reason
     order by place
     limit 1
$$;

-- What is so of the businesses, campaigns and from-numbers whose calls wait in these lanes: paused, about to be, or their
-- account in trouble; of each at most five.  Rows of look_at_now (situation.sql).
create or replace function situation_of_scopes(lanes lane[])
returns table (place integer, code text, kind text, sentence text, since timestamptz, until timestamptz)
language sql stable
as $$
    with own_lane as materialized (
        select business_id::text as business_key, from_number,
               coalesce(nullif(campaign_id, 0)::text, 'of business ' || business_id) as campaign_key
          from unnest(lanes)
    ), scope as materialized (
        select control.scope, control.key, control.state, control.state_since, control.state_reason,
               control.refused_calls, control.troubles, control.carrier_hold_until,
               control.scope || ' ' || control.key as called, business.time_zone as zone,
               case control.scope
                   when 'business' then business.name
                   when 'campaign' then (select name from campaign where id::text = control.key)
               end as name
          from dial_control as control
          left join business on business.id = scope_business(control.scope, control.key)
         where control.scope <> 'account'
           and (control.state <> 'running' or control.refused_calls <> '{}' or control.carrier_hold_until > now())
           and exists (select
                         from own_lane
                        where control.key = case control.scope
                                                when 'business' then own_lane.business_key
                                                when 'campaign' then own_lane.campaign_key
                                                else own_lane.from_number
                                            end)
    )
    select 13, 'paused', case when refused_calls <> '{}' then 'broken' else 'on_purpose' end,
           pause_sentence(called, name, state_since, who, said, zone), state_since, null::timestamptz
      from (select * from scope where state <> 'running' order by state_since desc, scope asc, key asc limit 5) as scope
     cross join lateral last_pause(scope.scope, scope.key, state_since, state_reason) as mover (who, said)
    union all
    select 14, 'carrier_refuses', 'held',
           format('The carrier refused the last %s calls of %s: after five in a row it is paused.',
                  cardinality(refused_calls), called),
           null, null
      from (select *
              from scope
             where state = 'running' and refused_calls <> '{}'
             order by cardinality(refused_calls) desc, key asc
             limit 5) as scope
    union all
    select 14, 'carrier_hold', 'held',
           format('The carrier is in trouble with the account of %s, %s times in a row: none of its calls is dialed'
                  ' before %s. `outbound resume %1$s` ends the wait.',
                  called, troubles, moment_text(carrier_hold_until, zone)),
           null, carrier_hold_until
      from (select *
              from scope
             where carrier_hold_until > now()
             order by carrier_hold_until desc, key asc
             limit 5) as scope
$$;

comment on function situation_of_scopes(lane[]) is
    'Pauses, refusals and holds of the businesses, campaigns and from-numbers whose calls wait in these lanes.';

-- The call that is due first in these lanes, but for those of which an operator or the breaker paused a scope.
create or replace function first_waiting_call(lanes lane[])
returns table (id bigint, due_at timestamptz, held_by text, zone text)
language sql stable rows 1
as $$
    with paused as materialized (
        select scope, key from dial_control where scope <> 'account' and state <> 'running'
    )
    select head.*
      from (select unnested.*,
                   coalesce(nullif(unnested.campaign_id, 0)::text, 'of business ' || unnested.business_id) as campaign_key
              from unnest(lanes) as unnested) as lane
     cross join lateral (
           select call_log.id, call_log.due_at, call_log.held_by, call_zone(to_number, time_zone, call_log.business_id)
             from call_log
            where call_log.business_id = lane.business_id
              and coalesce(call_log.campaign_id, 0) = lane.campaign_id
              and call_log.from_number = lane.from_number
              and status = 'queued'
              and paused_at is null
            order by call_log.due_at, call_log.id
            limit 1
     ) as head
     where not exists (select
                         from paused
                        where key = case scope
                                        when 'business' then lane.business_id::text
                                        when 'campaign' then lane.campaign_key
                                        else lane.from_number
                                    end)
     order by head.due_at, head.id
     limit 1
$$;

comment on function first_waiting_call(lane[]) is
    'The call that is due first in these lanes, but for those of which a scope is paused.';

-- Businesses that may call nobody, as they have no region and no number, and no destination is allowed: this one, or the
-- first five.  With the simulator no destination is asked for.
create or replace function stranded_businesses(business_id bigint) returns table (id bigint, name text)
language sql stable
as $$
    select business.id, business.name
      from business
     where current_setting('outbound.carrier', true) is distinct from 'simulator'
       and coalesce(business.id = $1, true)
       and business_country(business.id, business.default_region) is null
       and not exists (select
                         from destination
                        where allowed
                          and coalesce(destination.business_id, business.id) = business.id)
     order by business.id
     limit 5
$$;

comment on function stranded_businesses(bigint) is
    'Businesses that may call nobody, as they have no region and no number: one, or the first five.';

-- The rows that could be this call of the carrier's, which the database has forgotten: their numbers are the same and they
-- have no call_sid; and they were dialed at that moment, or were due by then, or are a next attempt that was written since
-- dialing stopped: since then nothing was dialed here, so the carrier's call was made before.  A call that waited may have
-- become due earlier (other hours, a check).  No row while dialing was not stopped.
create or replace function rows_of_lost_call(
    from_number text, to_number text, created_at timestamptz, early_s float8, late_s float8
) returns setof call_log
language sql stable rows 1
as $$
    select own.*
      from business
     cross join (select since from dialing_stop where cause = 'recovery') as stop
     cross join lateral (
           select * from live_call(business.id, $2)
            union
           select *
             from call_log
            where call_log.business_id = business.id
              and phone_key(call_log.to_number) = phone_key($2)
              and direction = 'outbound'
              and dialed_at is not null
              and call_awaits_truth(status, error_code)
     ) as own
     where own.from_number = $1
       and own.call_sid is null
       and case
               when own.status not in ('queued', 'claimed')
                   then $3 between own.dialed_at - make_interval(secs => early_s)
                               and own.dialed_at + make_interval(secs => late_s)
               when own.retry_of is not null and own.created_at >= stop.since then true
               else greatest(case when own.held_by is null then own.due_at end, own.created_at)
                    <= $3 + make_interval(secs => late_s)
           end
$$;

comment on function rows_of_lost_call(text, text, timestamptz, float8, float8) is
    'The rows that could be a call of the carrier which the database has forgotten.';

-- The business that has a from-number, or else the only one of whose campaigns it is; NULL where nobody's or several's.
create or replace function business_of_number(phone text) returns bigint
language sql stable
as $$
    select coalesce((select business_id from business_number where business_number.phone = $1),
                    (select min(campaign.business_id)
                       from campaign_number
                      inner join campaign on campaign.id = campaign_id
                      where campaign_number.phone = $1
                     having count(distinct campaign.business_id) = 1))
$$;

comment on function business_of_number(text) is
    'The business that has a from-number, or else the only one of whose campaigns it is.';

-- What keeps a business from calling this number (destination_fault), where it keeps it from calling all numbers that are as
-- long and begin with the same six characters.  No row where a range or a destination tells them apart.
create or replace function destination_fault_of_alike(to_number text, business_id bigint) returns table (fault text)
language sql stable rows 1
as $$
    select destination.fault
      from destination_fault($1, $2) as destination
     where not exists (select
                         from number_range
                        where first > substr(left($1, 6), 2) and first < substr(left($1, 6), 2) || ':')
       and not exists (select
                         from destination
                        where coalesce(destination.business_id, 0) in (0, $2)
                          and length(place) > 6
                          and starts_with(place, left($1, 6)))
$$;

comment on function destination_fault_of_alike(text, bigint) is
    'What keeps a business from calling all numbers as long that begin with the same six characters; no row where they differ.';

-- The calls of a business to a telephone that were dialed after this moment.
create or replace function dialed_since(business_id bigint, to_number text, since timestamptz) returns setof call_log
language sql stable
as $$
    select call_log.*
      from call_log
     where call_log.business_id = $1
       and phone_key(call_log.to_number) = phone_key($2)
       and direction = 'outbound'
       and dialed_at > $3
$$;

comment on function dialed_since(bigint, text, timestamptz) is
    'The calls of a business to a telephone that were dialed after a moment.';

-- Has a call of this batch that is deleted by now reached this telephone?  A row where one has.
create or replace function reached_by(batch_id bigint, to_number text) returns setof batch_reached
language sql stable rows 1
as $$
    select * from batch_reached where batch_reached.batch_id = $1 and hash = person_hash($2)
$$;

comment on function reached_by(bigint, text) is
    'A row where a call of this batch that is deleted by now reached this telephone.';

-- Close those of these calls that nobody has begun to dial; their rows say who wanted it, and why.
--
-- Moves    queued, claimed -> canceled
-- Returns  how many
-- Races    a worker that begins to dial first wins: its row is no longer 'claimed'
create or replace function cancel_waiting_calls(call_ids bigint[], reason text, actor text) returns bigint
language sql
as $$
    with locked as (
        select id
          from call_log
         where id = any(call_ids) and status in ('queued', 'claimed')
         order by id
           for update
    ), moved as (
        update call_log
           set status = 'canceled',
               error_code = 'operator_canceled',
               error_message = 'An operator canceled it' || coalesce(': ' || reason, '') || '.',
               stopped_by = actor,
               stop_reason = reason,
               overdue_at = null,
               held_by = null,
               ended_at = now()
          from locked
         where call_log.id = locked.id and status in ('queued', 'claimed')
        returning call_log.id
    ), counted as (
        insert into counter (name, label, value)
        select 'ended', 'canceled', count(*) from moved having count(*) > 0
        on conflict (name, label, slot) do update set value = counter.value + excluded.value
    )
    select count(*) from moved
$$;

comment on function cancel_waiting_calls(bigint[], text, text) is
    'Close those of these calls that nobody has begun to dial; how many.';

-- Make the view `old_call_meaning`: what an old call means here; of businesses that were taken over alone it says whose it
-- is.  `old_call` (make_old_views) is there already.
create or replace function make_old_call_meaning() returns void
language plpgsql
as $$
begin
    execute $view$
        create view old_call_meaning as
        select old_call.id, old_call.business_id as old_business_id, own.new_id as business_id,
               business.default_region as region, old_call.lead_id as old_lead_id,
               case when call_sid ~ '^[A-Za-z0-9:_-]{10,64}$' then call_sid end as call_sid,
               coalesce(call_sid, '') !~ '^([A-Za-z0-9:_-]{10,64})?$' as has_odd_sid,
               from_number, to_number,
               case
                   when direction ilike 'outbound%' then 'outbound'
                   when direction ilike 'inbound%' then 'inbound'
                   when exists (select from business_number as caller
                                 where caller.phone = from_number and caller.business_id = own.new_id) then 'outbound'
                   when exists (select from business_number as callee
                                 where callee.phone = to_number and callee.business_id = own.new_id) then 'inbound'
               end as direction,
               status as said_status, call_status as said_call_status,
               case when is_recent_unknown then 'in-progress' else word end as word,
               coalesce(word in ('initiated', 'ringing', 'in-progress') or is_recent_unknown, false) as is_live,
               error_code, error_message, duration, began_at, touched_at
          from old_call
          left join adopted as own
            on own.kind = 'business' and own.fate = 'adopted' and own.old_id = old_call.business_id
          left join business on business.id = own.new_id
         cross join lateral (select word_of_old_call(status, call_status) as word) as said
         -- A naive time that was local lies ahead of us.
         cross join lateral (
               select least(case when old_call.created_at between '1970-01-01' and '9000-01-01' then old_call.created_at
                                 when old_call.updated_at between '1970-01-01' and '9000-01-01' then old_call.updated_at end,
                            now()) as began_at,
                      least(case when old_call.updated_at between '1970-01-01' and '9000-01-01' then old_call.updated_at
                                 when old_call.created_at between '1970-01-01' and '9000-01-01' then old_call.created_at end,
                            now()) as touched_at
         ) as times
         -- Any word that a media event brought may stand over that of a call in progress, for as long as one lasts.
         cross join lateral (
               select word is null and coalesce(call_sid, '') <> '' and touched_at > now() - interval '4 hours'
                      as is_recent_unknown
         ) as recent
    $view$;
end
$$;

comment on function make_old_call_meaning() is
    'Make the view old_call_meaning: what a call of the system before means here.';

-- The columns of the old call_log that a call of ours fills, each with its value out of a row of old_calls_to_write, `call`.
create or replace function old_call_columns(old_schema text) returns table (name text, value text)
language sql stable
as $$
    select filled.*
      from (select format('%I.leads', old_schema) as leads,
                   format('%I.outbound_call_jobs', old_schema) as jobs) as old
     cross join lateral bridge_columns(old_schema, 'call_log', array[
        ['call.old_business_id', 'business_id', 'tenant_id'],
        ['call.call_sid', 'call_sid', ''],
        ['call.from_number', 'from_number', ''],
        ['call.to_number', 'to_number', ''],
        ['call.direction', 'direction', ''],
        ['case call.direction when ''outbound'' then ''outbound-api'' else call.direction end', 'twilio_direction', ''],
        ['call.word', 'status', ''],
        ['call.call_status', 'call_status', ''],
        ['call.duration_s', 'duration', 'duration_s'],
        ['call.customer_name', 'customer_name', ''],
        ['call.error_code', 'error_code', ''],
        ['call.error_message', 'error_message', ''],
        ['call.began_at', 'created_at', ''],
        ['now()', 'updated_at', ''],
        [format('coalesce(%s, %s)',
                case
                    when to_regclass(old.jobs) is not null
                        then format('(select o.lead_id from %s as o where o.id = call.job_id)', old.jobs)
                    else 'null'
                end,
                case
                    when to_regclass(old.leads) is not null
                        then format('(select max(o.id) from %s as o inner join %s.adopted on adopted.old_id = o.id'
                                    ' where adopted.kind = ''lead'' and adopted.new_id = call.lead_id)', old.leads,
                                    quote_ident(current_schema()))
                    else 'null'
                end), 'lead_id', '']]) as filled
$$;

comment on function old_call_columns(text) is
    'The columns of the old call_log that a call of ours fills, each with its value.';

-- The query by which `old_write_calls` (make_old_write_calls) reads our calls, each with its row in the old call_log where it
-- has one, the row that the old program made for its call_sid, and the job from which it was adopted.  {here} stands for
-- our schema, {calls} for the old call_log, and `call_ids` for the calls.
create or replace function old_calls_to_write() returns text
language sql immutable
as $$
    select $query$
    select call_log.id, call_log.business_id, call_log.call_sid, call_log.from_number, call_log.to_number,
           call_log.direction, call_log.duration_s, call_log.error_code, call_log.error_message, call_log.dialed_at,
           call_log.ended_at, call_log.lead_id, call_log.contact ->> 'name' as customer_name,
           least(coalesce(call_log.dialed_at, call_log.created_at), now()) as began_at,
           -- One that went back to the queue was not sent; it is a call again when it is dialed again.
           case
               when call_log.status in ('queued', 'claimed') then 'failed'
               when call_log.status = 'in-progress' then 'in_progress'
               else call_log.status
           end as word,
           case when call_log.status in ('queued', 'claimed') then 'failed' else call_log.status end as call_status,
           {here}.call_status_rank(call_log.status) = 5 as has_ended,
           call_log.direction = 'inbound' or call_log.dialed_at is not null or call_log.call_sid is not null
           or call_log.status in ('initiated', 'ringing', 'in-progress') as was_dialed,
           business.old_id as old_business_id, link.old_id as row_id, link.fate, present.id as present_id,
           twin.id as twin_id, job.old_id as job_id
      from unnest(call_ids) as wanted (id)
     inner join {here}.call_log on call_log.id = wanted.id
     inner join lateral (
           select old_id
             from {here}.adopted
            where kind = 'business' and new_id = call_log.business_id and fate = 'adopted'
            order by old_id
            limit 1
     ) as business on true
      left join lateral (
           select old_id, fate
             from {here}.adopted
            where kind = 'call' and new_id = call_log.id
            order by old_id desc
            limit 1
      ) as link on true
      left join {calls} as present on present.id = link.old_id
      left join lateral (
           select o.id
             from {calls} as o
            where o.call_sid = call_log.call_sid
              and o.call_sid <> ''
              and present.call_sid is distinct from call_log.call_sid
            limit 1
      ) as twin on true
      left join lateral (
           select old_id
             from {here}.adopted
            where kind = 'job'
              and new_id = coalesce(call_log.retry_of, call_log.id)
              and adopted.fate in ('queued_here', 'call_adopted', 'job_asked')  -- not one that its telephone held up
            limit 1
      ) as job on true
     order by call_log.id
$query$
$$;

comment on function old_calls_to_write() is
    'The query by which old_write_calls reads our calls with their rows in the old tables.';

-- What `old_write_calls` (make_old_write_calls) does to the job from which a call, `call`, was adopted.  A job is never
-- 'queued' again, and 'calling' only with a call_sid: no old worker takes it then.
create or replace function old_job_update(old_schema text) returns text
language sql stable
as $$
    select format($job$
        if call.job_id is not null and (call.has_ended or call.call_sid is not null) then
            update %I.outbound_call_jobs as o
               set %s
             where o.id = call.job_id and o.status is distinct from 'completed';
        end if;
    $job$, old_schema, bridge_assignments(old_schema, 'outbound_call_jobs', array[
        ['case when not call.has_ended then ''calling'' when call.word = ''completed'' then ''completed'' else ''failed'''
         ' end', 'status', ''],
        ['call.call_sid', 'call_sid', ''],
        ['call.call_sid', 'twilio_call_sid', ''],
        ['call.row_id', 'call_log_id', ''],
        ['call.error_message', 'error_message', ''],
        ['call.dialed_at', 'started_at', ''],
        ['case when call.has_ended then coalesce(call.ended_at, now()) end', 'completed_at', '']]))
$$;

comment on function old_job_update(text) is
    'What old_write_calls does to the job from which a call was adopted.';

-- The views by which everything else reads the old tables: the same columns in each old system.
create or replace function make_old_views(old_schema text) returns void
language plpgsql
as $$
begin
    perform make_old_view('old_business', old_schema, 'business', array[
        ['id', 'bigint', 'id', '', '', ''],
        ['name', 'text', 'name', '', '', ''],
        ['phone', 'text', 'phone_number', 'phone_e164', 'phone', ''],
        ['time_zone', 'text', 'timezone', 'time_zone', '', ''],
        ['hours', 'text', 'working_hours', 'business_hours', '', ''],
        ['days', 'text', 'working_days', 'business_days', '', ''],
        ['is_active', 'boolean', 'is_active', 'active', '', '']]);
    perform make_old_view('old_settings', old_schema, 'business_settings', array[
        ['business_id', 'bigint', 'tenant_id', 'business_id', '', ''],
        ['time_zone', 'text', 'timezone', 'time_zone', 'tz', ''],
        ['hours_json', 'text', 'opening_hours_json', 'working_hours_json', 'opening_hours', 'hours_json'],
        ['hours', 'text', 'working_hours', 'business_hours', 'hours', ''],
        ['days', 'text', 'working_days', 'opening_days', 'business_days', '']]);
    perform make_old_view('old_call', old_schema, 'call_log', array[
        ['id', 'bigint', 'id', '', '', ''],
        ['business_id', 'bigint', 'business_id', 'tenant_id', '', ''],
        ['lead_id', 'bigint', 'lead_id', '', '', ''],
        ['call_sid', 'text', 'call_sid', '', '', ''],
        ['from_number', 'text', 'from_number', '', '', ''],
        ['to_number', 'text', 'to_number', '', '', ''],
        ['direction', 'text', 'direction', '', '', ''],
        ['status', 'text', 'status', '', '', ''],
        ['call_status', 'text', 'call_status', '', '', ''],
        ['error_code', 'text', 'error_code', '', '', ''],
        ['error_message', 'text', 'error_message', '', '', ''],
        ['duration', 'bigint', 'duration', 'duration_s', '', ''],
        ['customer_name', 'text', 'customer_name', '', '', ''],
        ['created_at', 'timestamp with time zone', 'created_at', '', '', ''],
        ['updated_at', 'timestamp with time zone', 'updated_at', '', '', '']]);
    perform make_old_view('old_lead', old_schema, 'leads', array[
        ['id', 'bigint', 'id', '', '', ''],
        ['business_id', 'bigint', 'tenant_id', 'business_id', '', ''],
        ['phone', 'text', 'phone_e164', 'phone', 'phone_number', ''],
        ['name', 'text', 'name', 'full_name', '', ''],
        ['first_name', 'text', 'first_name', '', '', ''],
        ['last_name', 'text', 'last_name', '', '', ''],
        ['source', 'text', 'source', '', '', ''],
        ['external_id', 'text', 'external_id', '', '', ''],
        ['status', 'text', 'status', '', '', ''],
        ['created_at', 'timestamp with time zone', 'created_at', '', '', '']]);
    perform make_old_view('old_run', old_schema, 'outbound_call_runs', array[
        ['id', 'bigint', 'id', '', '', ''],
        ['business_id', 'bigint', 'business_id', 'tenant_id', '', ''],
        ['concurrency', 'bigint', 'concurrency', '', '', ''],
        ['status', 'text', 'status', '', '', ''],
        ['cancel_requested', 'boolean', 'cancel_requested', '', '', '']]);
    perform make_old_view('old_job', old_schema, 'outbound_call_jobs', array[
        ['id', 'bigint', 'id', '', '', ''],
        ['run_id', 'bigint', 'run_id', '', '', ''],
        ['lead_id', 'bigint', 'lead_id', '', '', ''],
        ['business_id', 'bigint', 'business_id', 'tenant_id', '', ''],
        ['call_log_id', 'bigint', 'call_log_id', '', '', ''],
        ['status', 'text', 'status', '', '', ''],
        ['call_sid', 'text', 'call_sid', '', '', ''],
        ['twilio_call_sid', 'text', 'twilio_call_sid', '', '', ''],
        ['began_at', 'timestamp with time zone', 'dial_started_at', 'started_at', '', '']]);
    perform make_old_call_meaning();
end
$$;

-- Make `old_write_calls`, which writes our calls to the old call_log, and to the jobs from which they were adopted.
create or replace function make_old_write_calls(old_schema text) returns void
language plpgsql as $make$
declare
    here text := quote_ident(current_schema());
    calls text := format('%I.call_log', old_schema);
    jobs text := format('%I.outbound_call_jobs', old_schema);
    has_jobs boolean := to_regclass(jobs) is not null;
    head text := format('create or replace function %s.old_write_calls(call_ids bigint[], wait text) returns void'
                        ' language plpgsql set search_path = %I, pg_temp set lock_timeout = ''20ms'''
                        ' set enable_seqscan = off as ', here, old_schema);
    body text;
    names text;
    vals text;
begin
    if to_regclass(calls) is null then
        execute head || quote_literal('begin end');
        return;
    end if;
    select string_agg(name, ', '), string_agg(value, ', ') into names, vals from old_call_columns(old_schema);
    body := replace(replace(replace(replace($body$
declare
    call record;
begin
    perform set_config('lock_timeout', wait, true);
    lock table {calls} in row exclusive mode nowait;
    for call in
        {rows}
    loop
        if call.twin_id is not null then
            -- The old program made a row for this call_sid: that one is the call's, and ours goes.
            if call.fate = 'bridged' then
                delete from {here}.adopted where kind = 'call' and old_id = call.row_id;
                {forget_row}
                delete from {calls} as o where o.id = call.row_id;
            end if;
            insert into {here}.adopted (kind, old_id, new_id, business_id, fate)
            values ('call', call.twin_id, call.id, call.business_id, 'ours')
            on conflict (kind, old_id) do update set new_id = excluded.new_id;
            call.row_id := call.twin_id;
            call.present_id := call.twin_id;
        end if;
        if call.row_id is null then
            continue when not call.was_dialed or call.call_status = 'failed' and not call.has_ended;
            insert into {calls} ({names}) values ({values}) returning id into call.row_id;
            continue when call.row_id is null;  -- a trigger of theirs wants none
            insert into {here}.adopted (kind, old_id, new_id, business_id, fate)
            values ('call', call.row_id, call.id, call.business_id, 'bridged')
            on conflict (kind, old_id) do update set new_id = excluded.new_id, fate = excluded.fate;
        elsif call.present_id is not null then  -- else they deleted it
            update {calls} as o
               set {assignments}
             where o.id = call.row_id
               and (coalesce(o.call_sid, '') = '' or call.call_sid is null or o.call_sid = call.call_sid);
        end if;
        {job}
    end loop;
    set constraints all immediate;  -- what their deferred triggers would say at the end, where it would fail us
end
$body$, '{rows}', old_calls_to_write()), '{here}', here), '{names}', names), '{values}', vals);
    body := replace(body, '{assignments}', bridge_assignments(old_schema, 'call_log', array[
        [format('%s.bridge_status({old}::text, call.word)', here), 'status', ''],
        ['call.call_status', 'call_status', ''],
        ['coalesce(nullif({old}, ''''), call.call_sid)', 'call_sid', ''],
        ['coalesce(call.duration_s, {old})', 'duration', 'duration_s'],
        ['coalesce(nullif({old}, ''''), call.customer_name)', 'customer_name', ''],
        ['call.error_code', 'error_code', ''],
        ['call.error_message', 'error_message', ''],
        ['now()', 'updated_at', '']]));
    body := replace(body, '{job}', case when has_jobs then old_job_update(old_schema) else '' end);
    body := replace(body, '{forget_row}', case when has_jobs then format(
        'update %s as o set call_log_id = call.twin_id where o.id = call.job_id and o.call_log_id = call.row_id;',
        jobs) else '' end);
    execute head || quote_literal(replace(body, '{calls}', calls));
end
$make$;

-- The first calls of a lane that may be claimed: due, not paused and not set aside.
create or replace function due_heads(business_id bigint, campaign_id bigint, from_number text, calls_max bigint)
returns setof call_log
language sql stable
as $$
    select call_log.*
      from call_log
     where call_log.business_id = $1
       and coalesce(call_log.campaign_id, 0) = $2
       and call_log.from_number = $3
       and status = 'queued'
       and paused_at is null
       and due_at <= now()
       and not exists (select from call_set_aside where call_id = call_log.id)
     order by due_at, id
     limit calls_max
$$;

comment on function due_heads(bigint, bigint, text, bigint) is
    'The first calls of a lane that may be claimed: due, not paused and not set aside.';

-- The lanes whose calls have something to say and whose campaign has started: with the key of their campaign in
-- dial_control, the account of their business, and the windows that rule them.
create or replace function dialable_lanes()
returns table (
    business_id bigint, campaign_id bigint, from_number text, campaign_key text, carrier_account text,
    window_ids bigint[]
)
language sql stable
as $$
    select lane.business_id, lane.campaign_id, lane.from_number,
           coalesce(nullif(lane.campaign_id, 0)::text, 'of business ' || lane.business_id), business.carrier_account,
           call_windows(lane.business_id, lane.campaign_id)
      from lane
     inner join business on business.id = lane.business_id
      left join campaign on campaign.id = lane.campaign_id
     where coalesce(campaign.voice_url, campaign.twiml, business.voice_url, business.twiml) is not null
       and coalesce(campaign.starts_at <= now(), true)
$$;

comment on function dialable_lanes() is
    'The lanes whose calls have something to say and whose campaign has started.';

-- How much a scope was served (dial_control.served), where that is a number of calls; NaN and infinity count as none.
create or replace function finite_service(served float8) returns float8
language sql immutable parallel safe
return case when served < 1e15 then served else 0 end;

comment on function finite_service(float8) is
    'How much a scope was served, where that is a number of calls; else 0.';
end
$functions$;
