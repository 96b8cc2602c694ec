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
end
$functions$;
