-- What every table, column, view and function is, in the database itself: `\d+ call_log` in psql, and sql/schema.sql.
-- One line each: the meaning, the unit, who writes it, and what NULL means.
-- depends: 0041_what_is_going_on

comment on table business is
    'A customer on whose behalf calls are made. Written by operators.';
comment on column business.id is
    'Named by every command that takes --business.';
comment on column business.name is
    'What operators see. Free text.';
comment on column business.created_at is
    'When the row was made.';
comment on column business.time_zone is
    'IANA name. Operators'' times without an offset, and the hours and days of spend caps, are read in this zone.';
comment on column business.default_region is
    'Two letters of ISO 3166: the country of numbers that are given without a country code. NULL: none.';
comment on column business.voice_url is
    'http(s) URL at which Twilio fetches the TwiML of a call, unless the campaign has its own. Or twiml, or NULL.';
comment on column business.twiml is
    'The TwiML itself, sent with each call, unless the campaign has its own. Or voice_url, or NULL.';
comment on column business.ladder_id is
    'Retry policy of calls whose campaign has none. NULL: no retries.';
comment on column business.window_id is
    'Calling window of all its calls, beside the campaign''s. NULL: any hour.';
comment on column business.carrier_account is
    'Twilio account SID that its calls are made with. NULL: TWILIO_ACCOUNT_SID.';
comment on column business.look_back_hours is
    'An import skips numbers that this business called within so many hours before. 0 to 168; 0: none.';

comment on table call_log is
    'One row per call, outbound or inbound: the queue and the history. A plain INSERT puts a call in the queue.';
comment on column call_log.id is
    'Also in the callback URL, so that Twilio''s callbacks find their row.';
comment on column call_log.business_id is
    'Whose call it is.';
comment on column call_log.call_sid is
    'Twilio''s SID, from its answer or from the first callback; never changes. NULL: not sent, or not known yet.';
comment on column call_log.direction is
    'outbound or inbound. NULL: a row of the old system that said neither.';
comment on column call_log.from_number is
    'E.164. Outbound: one of our numbers. Inbound: the caller, as Twilio writes it.';
comment on column call_log.to_number is
    'E.164. Outbound: the callee. Inbound: one of our numbers.';
comment on column call_log.status is
    'queued, claimed, then Twilio''s own statuses. A trigger lets it only move forward (call_status_rank).';
comment on column call_log.created_at is
    'When the row was made: by an enqueue, an import, a retry, or an inbound call''s first callback.';
comment on column call_log.updated_at is
    'Set by a trigger with every change of the row.';
comment on column call_log.error_message is
    'One sentence about error_code for operators; without phone numbers.';
comment on column call_log.error_code is
    'Why it failed or was canceled: Twilio''s code, sip_ and a SIP status, or a code of ours. NULL: nothing is wrong.';
comment on column call_log.due_at is
    'Not to be dialed before this moment. Set when it is enqueued; moved by the dispatcher, retries and operators.';
comment on column call_log.overdue_at is
    'Deadline of the present status; past it, clean-up or reconcile acts. NULL: nothing is awaited.';
comment on column call_log.fence is
    'Number of claims so far. A worker''s write is refused when another claim has raised it.';
comment on column call_log.put_backs is
    'Times the request was not sent and the call returned to the queue. Each doubles the wait, up to 5 minutes.';
comment on column call_log.looks is
    'Look-ups at Twilio, in a row, that did not find the call. Reset by any report of it.';
comment on column call_log.looked_at is
    'When reconcile or confirm last chose it for a look-up at Twilio. NULL: not since its dial.';
comment on column call_log.dialed_at is
    'When a worker began to dial, just before the request to Twilio. NULL: never dialed.';
comment on column call_log.answered_at is
    'When it was answered, by Twilio''s Timestamp; without one, when we heard of it.';
comment on column call_log.ended_at is
    'When it reached a final status, by Twilio''s Timestamp where there is one. NULL: has not ended.';
comment on column call_log.duration_s is
    'Seconds that the call lasted, as Twilio reports them (CallDuration). NULL: not reported.';
comment on column call_log.answered_by is
    'Twilio''s AnsweredBy (human, machine_start, ...), with machine detection only. NULL: not reported.';
comment on column call_log.idempotency_key is
    'Chosen by the caller; a second enqueue with the same key makes no call. Retries have ''retry:'' and ids.';
comment on column call_log.lead_id is
    'The lead of this call, set once by create_lead_from_call_job. NULL: none yet, or no phone to make one of.';
comment on column call_log.campaign_id is
    'The campaign that it belongs to. NULL: the business''s own call.';
comment on column call_log.attempt is
    '1 for a first call, one more for each retry of it.';
comment on column call_log.retry_of is
    'The first attempt, where this is a retry.';
comment on column call_log.contact is
    'JSON object of the import''s further columns, passed to the voice application. Read through call_contact().';
comment on column call_log.time_zone is
    'IANA name of the callee''s zone, where the caller stated one. NULL: derived from the number (callee_zones).';
comment on column call_log.held_by is
    'Code of the rule that moved due_at (call_obstacle), while the call waits for it. NULL: waits for nothing else.';
comment on column call_log.paused_at is
    'Since when an operator, or a question to Twilio, holds this one call. NULL: not held.';
comment on column call_log.hang_up is
    'What Twilio is to be asked for by an operator: canceled (not answered yet) or completed. NULL: nothing.';
comment on column call_log.hang_up_asked_at is
    'When Twilio was last asked for that. NULL: not yet.';
comment on column call_log.dial_by is
    'Latest start of a claim under a rate limit: begun later, calls would exceed the rate. NULL: no rate limit.';
comment on column call_log.lead_tries is
    'Times that making its lead raised an error.';
comment on column call_log.over_by is
    'The latest moment at which Twilio must have ended it, by its time limit. Set when the dial begins.';
comment on column call_log.carrier_account is
    'Twilio account SID that it was dialed with. NULL: TWILIO_ACCOUNT_SID, or not dialed yet.';
comment on column call_log.batch_id is
    'The import that made it; retries keep it. NULL: not imported. No foreign key, for the speed of imports.';
comment on column call_log.created_by is
    'Who enqueued it: --by, the user of the operating system, or the database role. NULL: a row from before 0040.';
comment on column call_log.stopped_by is
    'Who asked to cancel or hang up this call. NULL: nobody.';
comment on column call_log.stop_reason is
    'What they gave as the reason. NULL: nothing.';

comment on table leads is
    'A person who called or was called, once per business and telephone. Written by create_lead_from_call_job.';
comment on column leads.id is
    'Referenced by call_log.lead_id.';
comment on column leads.business_id is
    'Whose lead it is.';
comment on column leads.phone is
    'E.164, except in rows of the old system.';
comment on column leads.created_at is
    'When the first call made it.';
comment on column leads.updated_at is
    'When a call last had this lead.';
comment on column leads.duplicate_of is
    'The lead that is kept, where the old system made several for one telephone. NULL: this one is kept.';

comment on table business_number is
    'The numbers that a business owns. An inbound call belongs to the owner of the number it came to.';
comment on column business_number.phone is
    'E.164.';
comment on column business_number.business_id is
    'The owner; written by operators.';
comment on column business_number.created_at is
    'When it was given to the business; its first one is used where a call names none.';

comment on table call_event is
    'Every distinct report about a call, as received. Never updated.';
comment on column call_event.id is
    'In the order of receipt.';
comment on column call_event.call_id is
    'The call that it is about.';
comment on column call_event.call_sid is
    'The SID that the report named.';
comment on column call_event.source is
    'create (answer to our request), callback, lookup, or answered-by (machine detection).';
comment on column call_event.status is
    'The status as reported, also one that we do not know; for answered-by its result.';
comment on column call_event.sequence_number is
    'Twilio''s SequenceNumber of a callback. NULL: another source.';
comment on column call_event.occurred_at is
    'Twilio''s Timestamp. NULL: the report had none.';
comment on column call_event.received_at is
    'When it was written here.';
comment on column call_event.payload is
    'The report''s fields, without its signature.';

comment on table counter is
    'Totals for metrics, raised by the statement that does the thing. A total is the sum of its slots.';
comment on column counter.name is
    'The metric, such as ended, dial, held, lead, cleanup; durations as buckets (seconds_counted).';
comment on column counter.label is
    'The metric''s label value, such as a status or an error code.';
comment on column counter.slot is
    '0 to 7, by the writer''s backend pid, so that writers seldom wait for each other.';
comment on column counter.value is
    'Count since the row was made; of *_seconds sums, milliseconds.';

comment on table duty is
    'When each periodic task last succeeded. Written by the task itself, with its work.';
comment on column duty.name is
    'claimed, no_call_sid, no_lead (rules of clean-up), reconcile or hang_up.';
comment on column duty.last_success_at is
    'Its age says whether a scheduler is alive.';

comment on table worker is
    'One row per worker process that is running. Written by the worker every few seconds; deleted when it stops.';
comment on column worker.id is
    'Made by the process when it starts.';
comment on column worker.threads is
    'Dialing threads; the claim takes claims_per_thread calls for each.';
comment on column worker.seen_at is
    'When it last said that it is alive; a silent one stops counting after seconds, and is deleted after 1 hour.';
comment on column worker.accounts is
    'Twilio account SIDs whose credentials it has, beside TWILIO_ACCOUNT_SID.';

comment on table retry_ladder is
    'A retry policy of a business: how many attempts, and how far apart. Written by operators.';
comment on column retry_ladder.id is
    'Referenced by business.ladder_id and campaign.ladder_id.';
comment on column retry_ladder.business_id is
    'Whose policy it is.';
comment on column retry_ladder.name is
    'Unique in the business.';
comment on column retry_ladder.attempts_per_day_max is
    'Dials to one telephone by this business within 24 hours, all campaigns together.';
comment on column retry_ladder.attempts_per_week_max is
    'The same within 7 days.';
comment on column retry_ladder.created_at is
    'When the row was made.';

comment on table retry_step is
    'The waits of a retry policy. An outcome without a further step is not retried.';
comment on column retry_step.ladder_id is
    'The retry policy.';
comment on column retry_step.outcome is
    'The status that is retried: busy, no-answer or failed.';
comment on column retry_step.step is
    '1 for the wait after the first call that ended so, 2 after the second, and so on.';
comment on column retry_step.wait is
    'From the end of the call to the due_at of its retry. 1 minute to 30 days.';

comment on table campaign is
    'A group of calls with its own script, numbers, retry policy and dates. Written by operators.';
comment on column campaign.id is
    'Referenced by call_log.campaign_id.';
comment on column campaign.business_id is
    'Whose campaign it is.';
comment on column campaign.name is
    'Unique in the business.';
comment on column campaign.voice_url is
    'http(s) URL of the TwiML; goes before the business''s. NULL: none.';
comment on column campaign.twiml is
    'The TwiML itself; goes before the business''s. NULL: none.';
comment on column campaign.ladder_id is
    'Retry policy. NULL: the business''s.';
comment on column campaign.local_presence is
    'Whether a call takes the campaign''s number that shares most of its first digits with the callee''s.';
comment on column campaign.machine_detection is
    'Twilio''s MachineDetection: Enable or DetectMessageEnd. NULL: off.';
comment on column campaign.consent_required is
    'Whether only people with a consent on record are called.';
comment on column campaign.registry_max_age_days is
    'Numbers without consent need a registry check that is no older than so many days. NULL: no check.';
comment on column campaign.starts_at is
    'No call is dialed before this moment. NULL: no start.';
comment on column campaign.ends_at is
    'No call is dialed from this moment on. NULL: no end.';
comment on column campaign.created_at is
    'When the row was made.';
comment on column campaign.window_id is
    'Calling window, beside the business''s. NULL: none of its own.';
comment on column campaign.time_limit_s is
    'Seconds after which Twilio hangs up. NULL: OUTBOUND_TIME_LIMIT_S.';

comment on table campaign_number is
    'The numbers that a campaign calls from (campaign_from_number). Written by operators.';
comment on column campaign_number.campaign_id is
    'The campaign.';
comment on column campaign_number.phone is
    'E.164.';

comment on table dial_control is
    'Limits, pauses and current usage of one scope. A scope without a row has no limits.';
comment on column dial_control.scope is
    'account (everything), business, campaign or number (a from-number).';
comment on column dial_control.key is
    ''''' for account, else an id, or E.164; calls of a business without a campaign: ''of business'' and its id.';
comment on column dial_control.weight is
    'Share of turns when calls of several scopes wait; 2 gets twice as many calls as 1. Written by operators.';
comment on column dial_control.calls_per_second is
    'Most calls that begin per second, written by operators. NULL: no rate limit.';
comment on column dial_control.live_max is
    'Most calls claimed or at Twilio at the same time, written by operators. NULL: no limit.';
comment on column dial_control.state is
    'running or paused; written by operators and by the breaker.';
comment on column dial_control.state_reason is
    'Why it is paused, in a sentence for operators.';
comment on column dial_control.state_since is
    'When state was last set. NULL: never.';
comment on column dial_control.tokens is
    'Calls that may begin now under calls_per_second, at refilled_at. Written by the claim.';
comment on column dial_control.refilled_at is
    'When tokens was computed; later values are derived from it (pace_tokens).';
comment on column dial_control.served is
    'Calls claimed divided by weight: who has less goes first. Written by the claim.';
comment on column dial_control.served_floor is
    'Where a scope that was idle begins, so that it cannot claim all that it missed. Written by the claim.';
comment on column dial_control.refused_calls is
    'Ids of calls that Twilio refused in a row because of this number or script; at 5 the scope is paused.';
comment on column dial_control.troubles is
    'Errors of Twilio in a row (429, 5xx, no answer). Written by slow_down; an accepted call sets it to 0.';
comment on column dial_control.slow_factor is
    'Part of the rate that was left at slowed_at, 0.05 to 1; it grows back to 1 within 60 s (pace_now).';
comment on column dial_control.slowed_at is
    'When dialing was last slowed because of errors. NULL: never.';
comment on column dial_control.hold_until is
    'While a cancel works through the scope nothing new begins, until this moment at the latest.';
comment on column dial_control.carrier_holds is
    'Holds because of Twilio''s errors, in a row; each doubles the length of the next.';
comment on column dial_control.carrier_hold_until is
    'End of the present hold because of Twilio''s errors; after it one call is tried. NULL: none.';
comment on column dial_control.slowed_from is
    'Calls per second that slow_factor is a part of, where no rate limit is set.';
comment on column dial_control.window_began_at is
    'Start of the interval whose errors slow_down judges.';
comment on column dial_control.window_answers is
    'Good answers of Twilio in all up to that start (report.create and refused in counter).';
comment on column dial_control.window_troubles is
    'Errors of Twilio since that start.';

comment on table audit is
    'Decisions of operators and of the program. Written by the statement that does it; a trigger refuses changes.';
comment on column audit.id is
    'In the order of writing.';
comment on column audit.at is
    'When it was written.';
comment on column audit.who is
    '--by, else the user of the operating system; the program calls itself outbound or breaker.';
comment on column audit.action is
    'pause, resume, cancel, import_calls, suppress and so on.';
comment on column audit.scope is
    'account, business, campaign, number, call or another kind of object.';
comment on column audit.key is
    'Which one: its id or number; '''' for account.';
comment on column audit.details is
    'What was given, and what came of it; people''s numbers as hashes. Blanked by an erase.';
comment on column audit.db_user is
    'The database role that was logged in, set by a trigger.';
comment on column audit.os_user is
    'The user of the operating system, as the program says.';

comment on table calling_window is
    'Hours of the week in which calls are allowed, at the callee''s local time. Written by operators.';
comment on column calling_window.id is
    'Referenced by business.window_id and campaign.window_id.';
comment on column calling_window.name is
    'Unique; what commands take.';
comment on column calling_window.hours is
    'Minutes of the week that are open; 0 is Monday 00:00, at most 10080.';
comment on column calling_window.known_until is
    'Last day whose holidays are known; after it the window is closed. NULL: has no holidays to know.';
comment on column calling_window.preset is
    'us, uk or il: whose holidays a refresh of the windows adds. NULL: none.';
comment on column calling_window.note is
    'For people.';
comment on column calling_window.created_at is
    'When the row was made.';

comment on table calling_day is
    'A date on which a calling window differs from its weekday. Written by operators.';
comment on column calling_day.window_id is
    'The calling window.';
comment on column calling_day.day is
    'Local date at the callee.';
comment on column calling_day.hours is
    'Minutes of that day that are open, 0 to 1440; empty: closed all day.';
comment on column calling_day.note is
    'What the day is, for people.';

comment on table phone_zone is
    'Time zones of number prefixes, from libphonenumber. Written by migrations only.';
comment on column phone_zone.prefix is
    'First digits of a number, without +; the longest that fits decides (callee_zones).';
comment on column phone_zone.zones is
    'IANA names; several where the prefix spans zones.';

comment on table suppression is
    'The do-not-call list. Written by operators.';
comment on column suppression.id is
    'In the order of writing.';
comment on column suppression.phone is
    'E.164; holds for all writings of the same telephone (phone_key).';
comment on column suppression.business_id is
    'Holds for this business only. NULL: for everybody.';
comment on column suppression.campaign_id is
    'Holds for this campaign only. NULL: for all of the business''s calls.';
comment on column suppression.reason is
    'For people. '''': none was given.';
comment on column suppression.created_at is
    'When it was put on the list.';

comment on table consent is
    'The latest consent or revocation of a person towards a business. Written by operators.';
comment on column consent.business_id is
    'Towards whom.';
comment on column consent.phone is
    'E.164; holds for all writings of the same telephone (phone_key).';
comment on column consent.given_at is
    'When it was given. NULL: only a revocation is on record, which outweighs older consents.';
comment on column consent.expires_at is
    'When it ends. NULL: does not expire.';
comment on column consent.revoked_at is
    'When it was revoked. NULL: it was not.';
comment on column consent.source is
    'Where the consent came from, for people.';

comment on table registry_check is
    'The last answer of a do-not-call registry about a number. Written by operators.';
comment on column registry_check.phone is
    'E.164.';
comment on column registry_check.checked_at is
    'When the registry was asked.';
comment on column registry_check.is_listed is
    'Whether it is on the registry; a campaign that checks the registry then needs a consent to call it.';

comment on table dialing_stop is
    'While a row is here, nothing is dialed. One row per cause.';
comment on column dialing_stop.cause is
    'broker (Redis is away, by a dispatcher) or recovery (restored or copied database, by identity or a restore).';
comment on column dialing_stop.since is
    'When it began.';
comment on column dialing_stop.reason is
    'What happened and what to do, for operators.';

comment on table former_zone is
    'Old names of time zones and the present ones, from tzdata. Written by migrations only.';
comment on column former_zone.name is
    'The old IANA name.';
comment on column former_zone.present is
    'The name that servers know (present_zone).';

comment on table call_set_aside is
    'Calls that raised a database error by themselves; no step touches them again (set_aside).';
comment on column call_set_aside.call_id is
    'The call.';
comment on column call_set_aside.step is
    'Where it raised: claim, report, reconcile and so on.';
comment on column call_set_aside.reason is
    'The error, without the row''s data.';
comment on column call_set_aside.at is
    'When it was set aside.';

comment on table web_presence is
    'Whether a web process can write to this database. One row at most, written by the web processes.';
comment on column web_presence.only_row is
    'Always true.';
comment on column web_presence.seen_at is
    'When a web process last wrote here.';
comment on column web_presence.lost_until is
    'When one wrote again after callbacks may have been lost; live calls from before are then confirmed.';

comment on table identity is
    'Which database this is, to notice a restore or a copy. Written by dispatchers and `outbound recover`.';
comment on column identity.line is
    'Id of one unbroken history; also kept in Redis and on each host.';
comment on column identity.system_identifier is
    'Of the PostgreSQL cluster. NULL: the server does not tell.';
comment on column identity.timeline is
    'WAL time line; a restore or promotion raises it. NULL: the server does not tell.';
comment on column identity.database_oid is
    'A copy within the cluster has another one.';
comment on column identity.since is
    'When it began.';
comment on column identity.ended_at is
    'When `outbound recover` ended it. NULL: the present one.';
comment on column identity.schema_oid is
    'A copied schema has another one. NULL: written before this was compared.';

comment on table dials_begun is
    'How many dials were ever begun, to notice that a restore forgot some. Written by begin_dials.';
comment on column dials_begun.slot is
    '0 to 7, by the writer''s backend pid, so that workers seldom wait for each other.';
comment on column dials_begun.calls is
    'Dials begun in this slot; the total is the sum.';

comment on table adoption is
    'Each take-over of an old system''s tables. Written by `outbound adopt`.';
comment on column adoption.id is
    'In the order in which they began.';
comment on column adoption.old_schema is
    'Schema of the old tables.';
comment on column adoption.begun_at is
    'When it began.';
comment on column adoption.begun_by is
    'Who ran it.';
comment on column adoption.error_columns_added is
    'Columns of the old call_log that were missing and were added; an undo drops them.';
comment on column adoption.stamp is
    'In the names under which the old Redis keys were set aside.';
comment on column adoption.redis_set_aside is
    'Whether the old system''s jobs in Redis were set aside.';
comment on column adoption.undone_at is
    'When it was undone. NULL: it is in force.';

comment on table adopted is
    'What became of each row of the old system. Written by `outbound adopt`.';
comment on column adopted.kind is
    'business, call, lead, run or job: which old table.';
comment on column adopted.old_id is
    'Its id there.';
comment on column adopted.new_id is
    'Id of our business, call, lead or campaign; for a job, of its call. NULL: it became nothing.';
comment on column adopted.business_id is
    'Our business. NULL: none.';
comment on column adopted.fate is
    'A word for what was done with it, or why it was left.';
comment on column adopted.note is
    'The same for people, without numbers and names.';
comment on column adopted.before is
    'What was changed in the old row, as it was before. NULL: nothing was changed.';
comment on column adopted.adopted_at is
    'When.';

comment on table bridge_due is
    'Calls that could not be written to the old system''s tables yet. Written by triggers; the scheduler tries again.';
comment on column bridge_due.kind is
    'call or lead: which old table.';
comment on column bridge_due.call_id is
    'Our call.';
comment on column bridge_due.state is
    'SQLSTATE of the failure, or skipped: not tried because others had just taken too long.';
comment on column bridge_due.cause is
    'The table, column or constraint that the server named. '''': none.';
comment on column bridge_due.tries is
    'Attempts so far.';
comment on column bridge_due.failed_at is
    'When it last failed.';

comment on table bridge_region is
    'How numbers are written in a country, to find them in the old tables. Written by migrations only.';
comment on column bridge_region.region is
    'Two letters of ISO 3166.';
comment on column bridge_region.code is
    'Country calling code, without +.';
comment on column bridge_region.formats is
    'JSON array of [first digits, groups, national prefix] for each kind of number.';

comment on table number_range is
    'Country and kind of every number range, from libphonenumber. Written by migrations only.';
comment on column number_range.first is
    'First digits of the range, without +; a number belongs to the last range that sorts at or before it.';
comment on column number_range.region is
    'Two letters of ISO 3166. NULL: no country uses it.';
comment on column number_range.kinds is
    'One letter (number_kind) for each length from 7 to 15 digits.';

comment on table destination is
    'Countries and prefixes that may or may not be called. Written by operators.';
comment on column destination.id is
    'In the order of writing.';
comment on column destination.business_id is
    'For this business only. NULL: for everybody.';
comment on column destination.place is
    'A country (IL) or a prefix (+4420). The most specific entry for a number decides.';
comment on column destination.allowed is
    'Whether numbers there may be called.';
comment on column destination.reason is
    'For people. '''': none was given.';
comment on column destination.created_at is
    'When the row was made.';
comment on column destination.kind is
    'The kind that all numbers there have; ordinary where kinds differ. Written by a trigger.';
comment on column destination.digits is
    'How many digits the place fixes; a country counts its calling code and a half. Written by a trigger.';

comment on table spend_cap is
    'Most calls and minutes of a scope per hour and day. Written by operators. NULL: no cap.';
comment on column spend_cap.scope is
    'account (everything), business or campaign.';
comment on column spend_cap.key is
    ''''' for account, else the id.';
comment on column spend_cap.calls_per_hour is
    'Calls whose dial begins in one clock hour.';
comment on column spend_cap.calls_per_day is
    'Calls whose dial begins on one day, in the business''s time zone; of account in UTC.';
comment on column spend_cap.minutes_per_hour is
    'Talk minutes of those calls, each begun minute as a whole.';
comment on column spend_cap.minutes_per_day is
    'The same per day.';
comment on column spend_cap.money_per_hour is
    'Not in use: always NULL, as prices are not known.';
comment on column spend_cap.money_per_day is
    'Not in use: always NULL, as prices are not known.';

comment on table spend is
    'Cost of ended calls per scope and period. Written by settle_ended_calls; hours are kept 2 days, days 40.';
comment on column spend.scope is
    'account, business or campaign.';
comment on column spend.key is
    ''''' for account, else the id.';
comment on column spend.period is
    'hour or day.';
comment on column spend.began_at is
    'Start of the period, in the business''s time zone; of account in UTC.';
comment on column spend.calls is
    'Calls whose dial began in the period.';
comment on column spend.seconds is
    'Talk time of those calls, each begun minute as 60 s.';

comment on table spend_reserved is
    'Calls whose cost is not in spend yet; each counts with its time limit. By begin_dials, settle_ended_calls.';
comment on column spend_reserved.call_id is
    'The call.';
comment on column spend_reserved.business_id is
    'Its business.';
comment on column spend_reserved.campaign_id is
    'Its campaign. NULL: none.';
comment on column spend_reserved.dialed_at is
    'When the dial began: the hour and day that it counts in.';
comment on column spend_reserved.seconds is
    'Its time limit, the most that it can last.';

comment on table country_called is
    'Countries that a business has called, beside its own. Written by note_countries, for an alert on a new one.';
comment on column country_called.business_id is
    'The business.';
comment on column country_called.region is
    'Two letters of ISO 3166; '''' for a number of no country.';
comment on column country_called.first_at is
    'When it was first called.';

comment on table untagged_callback is
    'Until when callbacks of the version before 0032 are accepted. Written by that migration; one row at most.';
comment on column untagged_callback.only_row is
    'Always true.';
comment on column untagged_callback.dialed_before is
    'Holds for calls that were dialed before this moment.';
comment on column untagged_callback.accepted_until is
    'Such callbacks are refused from this moment on.';

comment on table call_in_question is
    'Signed callbacks for calls that were never dialed here: Twilio is asked before the call goes on.';
comment on column call_in_question.call_id is
    'The call; it is held meanwhile.';
comment on column call_in_question.call_sid is
    'The SID that the callback named.';
comment on column call_in_question.at is
    'When it came.';
comment on column call_in_question.was_paused is
    'Whether an operator held the call before; then it stays held.';
comment on column call_in_question.looks is
    'Look-ups at Twilio so far.';
comment on column call_in_question.looked_at is
    'When the last one was. NULL: none yet.';
comment on column call_in_question.answer is
    'adopted, absent, other_call, or moved_on (nobody had to ask). NULL: still open.';

comment on table person_key is
    'The secret of person_hash. One row, made by a migration.';
comment on column person_key.is_only is
    'Always true.';
comment on column person_key.key is
    '32 random bytes. Never shown.';

comment on table audit_change is
    'Every change of a rule''s table, by whichever program. Written by triggers; a trigger refuses changes.';
comment on column audit_change.id is
    'In the order of writing.';
comment on column audit_change.at is
    'When it was written.';
comment on column audit_change.who is
    'What the session says in outbound.by. NULL: it says nothing.';
comment on column audit_change.db_user is
    'The database role that was logged in.';
comment on column audit_change.os_user is
    'The user of the operating system, as the session says. NULL: it says nothing.';
comment on column audit_change.action is
    'insert, update, delete or truncate.';
comment on column audit_change.scope is
    'The table.';
comment on column audit_change.key is
    'Id of the row, where one row changed. '''': several, or none.';
comment on column audit_change.details is
    'How many rows, and a few of them before and after; people''s numbers as hashes. Blanked by an erase.';

comment on table audit_link is
    'Chain of hashes over audit and audit_change, to prove that nothing was changed. Written by triggers.';
comment on column audit_link.place is
    '1, 2, 3 and so on, in the order of the commits.';
comment on column audit_link.source is
    'audit or audit_change.';
comment on column audit_link.entry_id is
    'Id of the entry there.';
comment on column audit_link.content is
    'SHA-256 of the parts of the entry that an erase may blank.';
comment on column audit_link.hash is
    'SHA-256 over the link before, content and the rest of the entry.';

comment on table audit_head is
    'The last link of that chain. One row, written by triggers.';
comment on column audit_head.is_only is
    'Always true.';
comment on column audit_head.place is
    'Its place.';
comment on column audit_head.hash is
    'Its hash.';

comment on table forgotten is
    'Hashes of people who asked to be forgotten: they are never stored or called again. Written by operators.';
comment on column forgotten.hash is
    'person_hash of the telephone.';
comment on column forgotten.forgotten_at is
    'When.';

comment on table batch is
    'One list of calls that was imported. Written by `outbound import`; a telephone is reached once per batch.';
comment on column batch.id is
    'Referenced by call_log.batch_id.';
comment on column batch.business_id is
    'Whose list it is.';
comment on column batch.campaign_id is
    'Its campaign. NULL: none.';
comment on column batch.name is
    'Unique in the campaign, or else in the business.';
comment on column batch.contents is
    'SHA-256 of the imported files, the newest last.';
comment on column batch.created_at is
    'When it was first imported.';
comment on column batch.imported_at is
    'When it was last imported.';

comment on table batch_reached is
    'Telephones that a batch reached by calls that are deleted by now. Written by a trigger on call_log.';
comment on column batch_reached.batch_id is
    'The batch.';
comment on column batch_reached.hash is
    'person_hash of the telephone.';

comment on view lane is
    'Each business, campaign and from-number with a call in the queue; found without reading the whole queue.';
comment on column lane.business_id is
    'The business.';
comment on column lane.campaign_id is
    'The campaign; 0 for none.';
comment on column lane.from_number is
    'E.164.';

comment on function account_of_call(call_log) is
    'Twilio account whose callbacks may speak of a call: the one that it was, or would be, dialed with.';
comment on function account_sentence(text, float8) is
    'For operators: which workers lack an account''s credentials. NULL: none lacks them.';
comment on function add_old_error_columns(text) is
    'Adds the error columns that the old call_log lacks; returns their names.';
comment on function are_time_zones(text[]) is
    'Whether this server knows every one of these time zones.';
comment on function audit_changes_of(regclass, text[], text[]) is
    'Puts the triggers that write audit_change on a table. May be called again.';
comment on function audit_content(text, text, jsonb) is
    'Digest of what an erase may blank in an entry of the audit.';
comment on function audit_difference(jsonb, jsonb) is
    'The columns that differ between two versions of a row, and which row it is.';
comment on function audit_erase(text, text, bigint[], bigint[], text) is
    'Blanks the details of audit entries and records that; returns how many.';
comment on function audit_erase_old(text, integer, integer) is
    'Blanks the details of audit entries older than so many days, 8 at least; returns how many.';
comment on function audit_hash(bytea, bigint, text, bigint, timestamptz, text, text, text, text, bytea) is
    'Hash of one link of the audit''s chain.';
comment on function audit_link_entry() is
    'Trigger at commit: adds an entry of the audit to the chain of hashes.';
comment on function audit_note_row() is
    'Trigger for each row of tables whose changes are mostly counters: writes audit_change.';
comment on function audit_note_statement() is
    'Trigger for each statement: writes one row of audit_change, however many rows it changed.';
comment on function audit_row(jsonb, text[], text[]) is
    'A row as the audit keeps it: without counters, people''s numbers hashed, passwords in URLs masked.';
comment on function audit_stamp() is
    'Trigger: sets db_user and os_user of an audit entry from the session.';
comment on function audit_stays() is
    'Trigger: refuses to change, delete or truncate the audit.';
comment on function audit_write(text, text, bigint, jsonb) is
    'Writes one row of audit_change; called by its triggers.';
comment on function bridge_assignments(text, text, text[]) is
    'How a statement sets the columns of an old table, as SQL.';
comment on function bridge_columns(text, text, text[]) is
    'The wanted columns that an old table has, each with its value as SQL in the column''s type.';
comment on function bridge_flush() is
    'Trigger for each statement: writes the calls that bridge_note noted to the old tables.';
comment on function bridge_note() is
    'Trigger for each row: notes a call whose change goes to the old tables.';
comment on function bridge_status(text, text) is
    'The status to write to an old row, from the one that it has and ours.';
comment on function bridge_try(text, bigint[], text) is
    'Writes calls or leads to the old tables, all or none; returns what failed.';
comment on function bridge_write(text, bigint[], boolean) is
    'Writes calls or leads to the old tables, one by one after a failure; notes failures in bridge_due.';
comment on function bridge_write_again(text, bigint) is
    'Writes again what bridge_due holds of one call; returns the SQLSTATE if it fails.';
comment on function bridge_writings(text, text) is
    'Every way in which a number may be written in the old tables.';
comment on function business_country(bigint, text) is
    'Country that a business may call without an entry in destination. NULL: none.';
comment on function business_zone() is
    'Trigger: refuses a time zone that the server does not know, and keeps its present name.';
comment on function call_awaits_truth(text, text) is
    'Whether a call was closed for lack of information, so that a later report may still move it.';
comment on function call_contact(text) is
    'The contact of the call with this SID, for voice applications.';
comment on function call_is_in_doubt(text, text) is
    'Whether a closed call is still asked about at Twilio.';
comment on function call_limit_s(integer) is
    'Seconds after which Twilio hangs up: the campaign''s, else the session''s OUTBOUND_TIME_LIMIT_S.';
comment on function call_log_guard() is
    'Trigger: sets updated_at and refuses moves that no call may make.';
comment on function call_log_keeps_reached() is
    'Trigger: keeps whom a batch reached when the calls are deleted.';
comment on function call_log_zone() is
    'Trigger: refuses a time zone that the server does not know, and keeps its present name.';
comment on function call_moment(call_log) is
    'When a call was, for lists: its end, else its dial, else its due_at.';
comment on function call_obstacle(call_log, bigint[], text[], timestamptz) is
    'The rule that keeps a call from being dialed now, limits aside; no row where none does.';
comment on function call_status_rank(text) is
    'Position of a status in a call''s life, 0 to 5; it only rises. NULL: no status of ours.';
comment on function call_windows(bigint, bigint) is
    'Ids of the calling windows that a call must keep: the business''s and the campaign''s.';
comment on function call_zone(text, text, bigint) is
    'Time zone to show a call''s moments in: the callee''s if it is certain, else the business''s.';
comment on function callee_zones(text, text) is
    'Time zones in which a callee may be: the stated one, else those of the number. Empty: unknown.';
comment on function campaign_from_number(bigint, text, integer) is
    'The campaign''s number that the n-th attempt to a callee calls from.';
comment on function claim_fault(bigint, float8, float8) is
    'The error that the claim raises at this one call; no row where it raises none.';
comment on function clock_ahead(text, timestamptz) is
    'How far a time zone is ahead of UTC at a moment.';
comment on function columns_of_old_table(text, text, text[]) is
    'Select list that reads an old table by our names and types, as SQL.';
comment on function columns_with_text() is
    'The columns that may hold a phone number in text, table by table, as SQL.';
comment on function delete_call(bigint) is
    'Deletes an ended call and its events; false where a foreign key of somebody''s table keeps it.';
comment on function destination_at(text) is
    'Kind and digits of the numbers at a place, for the table destination; no row where there are none.';
comment on function destination_entry(text, text, bigint) is
    'The entry of destination that decides about a number: the most specific one.';
comment on function destination_fault(text, bigint) is
    'not_dialable or destination_not_allowed, where a business may not call a number; else NULL.';
comment on function destination_place() is
    'Trigger: sets kind and digits of an entry of destination.';
comment on function destination_sentence(text, bigint) is
    'For operators: why a business may not call a number. NULL: it may.';
comment on function dial_scope(float8, boolean) is
    'What is left of every scope''s limits now: one row per scope of dial_control.';
comment on function dialing_blockers(float8, float8) is
    'Whatever keeps all calls from being dialed now, the most urgent first.';
comment on function drop_bridge() is
    'Stops writing to the old tables.';
comment on function drop_old_error_columns(text, text[]) is
    'Drops the columns that add_old_error_columns added, unless they hold something; returns those left.';
comment on function drop_old_views() is
    'Drops the views of the old tables.';
comment on function fault_text(text, text, text) is
    'An error of the database, without the row''s data.';
comment on function find_calls(text, bigint, bigint, text[], text, text, bigint, timestamptz, timestamptz,
    timestamptz, bigint, integer, integer) is
    'One page of calls that match the given filters, newest first.';
comment on function first_opening(bigint[], text[], timestamptz, float8) is
    'next_opening by a search through all hours of 15 days; slow.';
comment on function forgotten_are_looked_for() is
    'Trigger for each statement: notes whether anybody was ever forgotten, which saves a look per row.';
comment on function forgotten_stay_out() is
    'Trigger: skips a row with the number of a forgotten person.';
comment on function forgotten_stay_out_of_calls() is
    'The same trigger for call_log, whose person is the callee, or the caller of an inbound call.';
comment on function has_consent(bigint, text) is
    'Whether a person''s consent to calls of this business is valid now.';
comment on function identity_fault() is
    'How this database differs from the one that dialed last: cluster, timeline or copy. NULL: it does not.';
comment on function is_forgotten(text) is
    'Whether a number belongs to a forgotten person.';
comment on function is_of_a_row(text) is
    'Whether an error of this SQLSTATE is caused by a row''s data.';
comment on function is_simulated() is
    'Whether this session''s carrier is the simulator.';
comment on function is_suppressed(text, bigint, bigint) is
    'Whether a number is on the do-not-call list that holds for this business and campaign.';
comment on function is_surely_open(bigint[], text[], timestamptz, float8) is
    'Fast test whether all windows are open in all zones for so many seconds; false if unsure.';
comment on function is_time_zone(text) is
    'Whether this server knows a time zone.';
comment on function last_pause(text, text, timestamptz, text) is
    'Who paused a scope and why, from the audit.';
comment on function live_identity() is
    'What the server says of itself now, to compare with the table identity.';
comment on function live_schema_oid() is
    'OID of the schema that holds our tables.';
comment on function make_bridge(text) is
    'Starts writing our calls and leads to the old tables.';
comment on function make_old_view(text, text, text, text[]) is
    'Makes one view over an old table.';
comment on function make_old_views(text) is
    'Makes the views through which the old tables are read.';
comment on function make_old_write_calls(text) is
    'Makes the function that writes our calls to the old tables.';
comment on function make_old_write_leads(text) is
    'Makes the function that writes our leads to the old table.';
comment on function meaning_of_old_word(text) is
    'Our status for a status word of the old tables; over: written after the end. NULL: unknown.';
comment on function moment_text(timestamptz) is
    'A moment in UTC, for sentences.';
comment on function moment_text(timestamptz, text) is
    'A moment in a time zone, for sentences: weekday, date, time and zone.';
comment on function next_clock_change(text, timestamptz) is
    'When a zone next changes between standard and daylight saving time, within 16 days; else NULL.';
comment on function next_opening(bigint[], text[], timestamptz, float8) is
    'First moment at which all windows are open in all zones for so many seconds. NULL: none in 15 days.';
comment on function number_kind(text) is
    'A letter of number_range.kinds in words.';
comment on function number_place(text) is
    'Country and kind of a number. NULL country: none.';
comment on function obstacle_sentence(text) is
    'For operators: the rule with this code, in a sentence.';
comment on function pace_now(float8, float8, timestamptz, float8) is
    'Calls per second now, reduced for a minute after errors of Twilio.';
comment on function pace_tokens(float8, float8, timestamptz) is
    'Calls that may begin now under a rate, from the tokens at an earlier moment.';
comment on function pause_sentence(text, text, timestamptz, text, text, text) is
    'For operators: who paused a scope, since when and why.';
comment on function period_start(text, timestamptz, text) is
    'Start of the clock hour, or the day, of a moment in a time zone.';
comment on function person_hash(text) is
    'Keyed hash that stands for a person''s number where the number itself may not be kept.';
comment on function phone_key(text) is
    'The same text for all writings of one telephone''s number.';
comment on function present_zone(text) is
    'The name by which this server knows a time zone. NULL: it does not.';
comment on function refusal_sentence(text, call_log) is
    'For operators: why this call was refused by a rule.';
comment on function refusal_sentence(text, text) is
    'For operators: the rule with this code, with the time zone where that is what is wrong.';
comment on function rows_that_mention(text, text) is
    'Every row in which a number is written, in whatever form.';
comment on function scheduler_sentence(float8) is
    'For operators: no scheduler runs. NULL: one does.';
comment on function scope_business(text, text) is
    'The business that a scope belongs to. NULL: account, or a number of no business.';
comment on function seconds_counted(text, float8) is
    'The rows of counter that one duration adds to: its bucket and the sum.';
comment on function set_aside(bigint, text, text, text) is
    'Closes a call that raises errors, and keeps it out of every step; true where that is new.';
comment on function spend_room() is
    'How many more calls each spend cap allows now.';
comment on function spend_sentence(text, text, text, text, timestamptz) is
    'For operators: which spend cap is used up, and until when.';
comment on function takes_untagged(timestamptz) is
    'Whether callbacks without a tag are accepted for a call dialed at this moment.';
comment on function unmention(text, text) is
    'Replaces a number in every text of ours but the audit; returns the changed rows per table.';
comment on function why_not_dialed(bigint, float8, float8, float8, integer, float8, float8) is
    'For operators: the first reason why a call is not being dialed, and until when.';
comment on function window_hours(bigint, date, date) is
    'Local times at which a window is open, from one date to another.';
comment on function word_of_old_call(text, text) is
    'Our status for the two status columns of an old call. NULL: unknown.';
comment on function workers_without(text, float8) is
    'Living worker processes that lack an account''s credentials.';
