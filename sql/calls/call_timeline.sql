-- call_timeline.sql: what became of one call, from its enqueue to its lead.  Read by outbound/calls/call_timeline.py alone.
-- A role that sees no phone number may ask too (the reader of roles.sql): what holds numbers or words is asked for apart.

-- name: find_call(call_id, call_limit_s)^
-- Returns  the call without what not every role may see, or nothing
select call_log.id, call_log.business_id, business.name as business, business.time_zone as business_zone,
       call_log.campaign_id, campaign.name as campaign, call_log.direction, call_log.status, call_log.call_sid,
       call_log.attempt, call_log.retry_of, call_log.created_at, call_log.due_at, call_log.overdue_at,
       call_log.dialed_at, call_log.answered_at, call_log.ended_at, call_log.duration_s, call_log.answered_by,
       call_log.error_code, call_log.held_by, call_log.paused_at, call_log.hang_up, call_log.put_backs, call_log.looks,
       call_log.lead_id, coalesce(campaign.time_limit_s, :call_limit_s::integer) as time_limit_s
  from call_log
 inner join business on business.id = call_log.business_id
  left join campaign on campaign.id = call_log.campaign_id
 where call_log.id = :call_id;

-- name: words_of_call(call_id)^
-- Returns  the rest of the call; the `zones` in which its callee may be; and who imported it, from which file, as which batch
select from_number, to_number, case when direction = 'inbound' then from_number else to_number end as number,
       idempotency_key as key, contact, error_message, created_by, stopped_by, stop_reason, carrier_account,
       callee_zones(case when direction = 'inbound' then from_number else to_number end, call_log.time_zone) as zones,
       batch.name as batch, imported.who as imported_by, imported.details ->> 'file' as imported_from
  from call_log
  left join batch on batch.id = call_log.batch_id
  left join lateral (
       -- An import is noted when it has ended: the first one after the call was put in the queue.
       select who, details
         from audit
        where action = 'import_calls'
          and (scope, key) in (('campaign', coalesce(batch.campaign_id::text, '')),
                               ('business', batch.business_id::text),
                               ('account', ''))
          and details ->> 'batch' = batch.name
          and at >= call_log.created_at
        order by audit.id
        limit 1
  ) as imported on true
 where call_log.id = :call_id;

-- name: events_of_call(call_id)
-- Returns  the carrier's reports in the order in which they reached us; 500 at most
select id, status, sequence_number, occurred_at, received_at
  from call_event
 where call_id = :call_id
 order by received_at, id
 limit 500;

-- name: words_of_events(call_id)
-- Returns  how each of these reached us, and what else the carrier reported
select id, source, payload
  from call_event
 where call_id = :call_id
 order by received_at, id
 limit 500;

-- name: attempts(call_id)
-- Returns  all attempts of the retry policy that this call is one of, itself too
select kin.id, kin.attempt, kin.status, kin.due_at, kin.dialed_at, kin.ended_at, kin.error_code, kin.answered_by
  from call_log as own
 inner join call_log as kin
    on kin.id = coalesce(own.retry_of, own.id) or kin.retry_of = coalesce(own.retry_of, own.id)
 where own.id = :call_id
 order by kin.attempt, kin.id
 limit 100;

-- name: dialed_again(call_id)^
-- Returns  the call that an operator had made in this one's place, and the one that this was made for
select (select other.id
          from call_log as other
         where other.business_id = call_log.business_id
           and other.idempotency_key = 'again:' || call_log.id) as again_id,
       case when idempotency_key ~ '^again:[0-9]{1,18}$' then substr(idempotency_key, 7)::bigint end as again_for_id
  from call_log
 where id = :call_id;

-- name: audit_of_call(call_id)
-- Returns  what operators did with this call, and what stopped or held everything, its business, its campaign or its
--          from-number from its enqueue until it was dialed or ended; 100 entries at most
select audit.at, audit.who, audit.action, audit.scope, audit.key, audit.details ->> 'reason' as reason,
       (audit.details ->> 'from')::timestamptz as was_due_at,
       (audit.details ->> 'to')::timestamptz as due_at
  from call_log
 cross join lateral (
       select audit.*
         from audit
        where audit.scope = 'call'
          and audit.key = call_log.id::text
          and action in ('pause', 'resume', 'stop', 'cancel', 'reschedule', 'retry')
        union all
       select audit.*
         from (values ('account', ''), ('business', call_log.business_id::text),
                      ('campaign', call_log.campaign_id::text), ('number', call_log.from_number)) as wider (scope, key)
        inner join audit on audit.scope = wider.scope and audit.key = wider.key
        where action in ('pause', 'resume', 'drain', 'stop')
          and at between call_log.created_at and coalesce(call_log.dialed_at, call_log.ended_at, now())
 ) as audit
 where call_log.id = :call_id
 order by audit.at, audit.id
 limit 100;

-- name: blocker_text(code)$
-- Returns  why a call is held, as a sentence
select obstacle_sentence(:code);
