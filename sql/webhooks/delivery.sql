-- delivery.sql: events on their way to the endpoints.  Read by outbound/webhooks/delivery.py alone.

-- name: next_due_s(at_most_s)$
-- Seconds until there is a delivery that a claim could take, 0 where there is one, and at_most_s where none comes sooner.
select greatest(0, least(:at_most_s::float8,
                         min(extract(epoch from greatest(endpoint.hold_until, first.due_at) - now()))))
  from webhook_endpoint as endpoint
 cross join lateral (
       select due_at from webhook_delivery where endpoint_id = endpoint.id and state = 'due' order by due_at limit 1
 ) as first
 where endpoint.state = 'on';

-- name: claim_deliveries(batch_max, in_flight_max, sending_s, worker_silent_s)
-- Take what is due, of each endpoint in its order and so many at most; of one that is held after failures a single one,
-- which tries whether it is back.  The events of a call go out one after the other: an event waits while an earlier one of
-- the same call is on its way or is to be tried again.  Nothing is taken while no worker is alive.
--
-- Moves    due -> claimed
-- Returns  endpoint_id and event_id of each
-- Races    other schedulers: one claims at a time, until its transaction ends
-- Undo     release_deliveries; release_overdue_deliveries
with turn as materialized (
    select pg_try_advisory_xact_lock(hashtext('outbound.webhooks'), 'webhook_delivery'::regclass::int) as is_ours
), endpoint as (
    select endpoint.id,
           case when endpoint.hold_until is null then :in_flight_max::integer else 1 end - sending.deliveries as room
      from turn
     cross join webhook_endpoint as endpoint
     cross join lateral (
           select count(*) as deliveries
             from webhook_delivery
            where endpoint_id = endpoint.id and state in ('claimed', 'sending')
     ) as sending
     where is_ours
       and endpoint.state = 'on'
       and coalesce(endpoint.hold_until <= now(), true)
       and exists (select from worker where seen_at > now() - make_interval(secs => :worker_silent_s))
), head as (
    select due.endpoint_id, due.event_id
      from endpoint
     cross join lateral (
           select delivery.endpoint_id, delivery.event_id
             from webhook_delivery as delivery
            where delivery.endpoint_id = endpoint.id
              and delivery.state = 'due'
              and delivery.due_at <= now()
              and not exists (select
                                from webhook_delivery as earlier
                               where earlier.endpoint_id = delivery.endpoint_id
                                 and earlier.call_id = delivery.call_id
                                 and earlier.event_id < delivery.event_id
                                 and earlier.state in ('due', 'claimed', 'sending'))
            order by delivery.due_at, delivery.event_id
            limit greatest(0, endpoint.room)
     ) as due
     limit :batch_max
), chosen as (
    select delivery.endpoint_id, delivery.event_id
      from webhook_delivery as delivery
     inner join head on head.endpoint_id = delivery.endpoint_id and head.event_id = delivery.event_id
     where delivery.state = 'due'
     order by delivery.endpoint_id, delivery.event_id
       for update of delivery skip locked
)
update webhook_delivery as delivery
   set state = 'claimed', overdue_at = now() + make_interval(secs => :sending_s)
  from chosen
 where delivery.endpoint_id = chosen.endpoint_id and delivery.event_id = chosen.event_id
returning delivery.endpoint_id, delivery.event_id;

-- name: release_deliveries(endpoint_ids, event_ids)!
-- The broker did not take these: they are due as they were.
--
-- Moves    claimed -> due
update webhook_delivery as delivery
   set state = 'due', overdue_at = null
  from unnest(:endpoint_ids::bigint[], :event_ids::bigint[]) as given (endpoint_id, event_id)
 where delivery.endpoint_id = given.endpoint_id and delivery.event_id = given.event_id and delivery.state = 'claimed';

-- name: release_overdue_deliveries(batch_max)$
-- Their message was lost, or their worker died: they are sent again, under the same id, as long due as they were.  What no
-- worker had taken was no attempt.
--
-- Moves    claimed -> due; sending -> due, and after the last attempt -> given_up
-- Returns  how many
with overdue as (
    select endpoint_id, event_id, state = 'sending' as was_sent,
           state = 'sending' and webhook_wait(attempts) is null as is_last
      from webhook_delivery
     where state in ('claimed', 'sending') and overdue_at < now()
     order by endpoint_id, event_id
     limit :batch_max
       for update skip locked
), moved as (
    update webhook_delivery as delivery
       set state = case when is_last then 'given_up' else 'due' end,
           overdue_at = null, done_at = case when is_last then now() end,
           error = case when was_sent then 'the worker that sent it did not say what came of it' else error end
      from overdue
     where delivery.endpoint_id = overdue.endpoint_id and delivery.event_id = overdue.event_id
    returning was_sent
), counted as (
    insert into counter (name, label, value)
    select 'webhook', 'unknown', count(*) from moved where was_sent having count(*) > 0
    on conflict (name, label, slot) do update set value = counter.value + excluded.value
)
select count(*) from moved;

-- name: begin_deliveries(endpoint_id, event_ids, sending_s)
-- Take what is claimed for this worker, which counts as an attempt.  A message that comes twice, or late, finds nothing.
--
-- Moves    claimed -> sending
-- Returns  of each where it goes, how it is signed, and its data; what is known of the person (`to`, `from`, `key`,
--          `contact`, `phone`) is read now and stands nowhere in the event; none of it for an endpoint that takes thin
--          events, or once the call is deleted.  `signs_with_previous` in the 24 hours after a rotation
with begun as (
    update webhook_delivery as delivery
       set state = 'sending', attempts = attempts + 1, overdue_at = now() + make_interval(secs => :sending_s)
      from webhook_endpoint as endpoint
     where delivery.endpoint_id = :endpoint_id
       and delivery.event_id = any(:event_ids::bigint[])
       and delivery.state = 'claimed'
       and endpoint.id = delivery.endpoint_id
       and endpoint.state = 'on'
    returning delivery.endpoint_id, delivery.event_id, delivery.attempts, delivery.is_replay, endpoint.url,
              endpoint.own_networks, endpoint.payload, endpoint.secret_generation,
              coalesce(endpoint.rotated_at > now() - interval '24 hours', false) as signs_with_previous
)
select begun.*, event.public_id, event.type, event.at, event.business_id,
       case when payload = 'full' then event_payload(event) else event.data end as data
  from begun
 inner join event_log as event on event.id = begun.event_id
 order by begun.event_id;

-- name: record_deliveries(outcomes, in_a_row, hold_s, hold_max_s, failing_days, failures_min)
-- Write what came of some attempts.  A failure waits for its next attempt, with a fifth of jitter or as long as the endpoint
-- asked for, and the later events of its call with it; after the last attempt it is given up.
--
-- `outcomes` is a JSON array of objects: endpoint_id, event_id, attempts (as they were when it was sent), result
-- (delivered, failed, gone or not_sent), status_code, error, took_ms, retry_after_s.
-- After `in_a_row` failures one after the other the endpoint is held, for hold_s and twice as long each time up to
-- hold_max_s.  After failing_days without one success, and failures_min failures, it is switched off, and at once where
-- it said that it is gone; its deliveries wait until somebody switches it on.
--
-- Moves    sending -> done, due, given_up; an endpoint on -> off
-- Returns  the id and reason of each endpoint that was switched off
-- Races    a worker that was taken for dead: its attempt is over, and what it says is not written
with told as materialized (
    select *
      from jsonb_to_recordset(:outcomes::jsonb)
        as told (endpoint_id bigint, event_id bigint, attempts integer, result text, status_code integer, error text,
                 took_ms integer, retry_after_s float8)
), attempt as materialized (
    select delivery.endpoint_id, delivery.event_id, delivery.call_id, told.result, told.status_code, told.error,
           told.took_ms, told.retry_after_s, event.at,
           case
               when told.result = 'not_sent' then interval '10 s'
               when told.result <> 'delivered' and webhook_wait(delivery.attempts) is not null
                   then greatest(webhook_wait(delivery.attempts) * (0.8 + 0.4 * random()),
                                 make_interval(secs => coalesce(told.retry_after_s, 0)))
           end as wait
      from told
     inner join webhook_delivery as delivery
        on delivery.endpoint_id = told.endpoint_id and delivery.event_id = told.event_id
     inner join event_log as event on event.id = delivery.event_id
     where delivery.state = 'sending' and delivery.attempts = told.attempts
     order by delivery.endpoint_id, delivery.event_id
       for update of delivery
), moved as (
    update webhook_delivery as delivery
       set state = case
               when result = 'delivered' then 'done' when wait is null then 'given_up' else 'due'
           end,
           attempts = delivery.attempts - (result = 'not_sent')::integer,
           due_at = coalesce(now() + wait, due_at), overdue_at = null, status_code = attempt.status_code,
           error = left(attempt.error, 300), took_ms = attempt.took_ms,
           done_at = case when wait is null then now() end
      from attempt
     where delivery.endpoint_id = attempt.endpoint_id and delivery.event_id = attempt.event_id
), followers as (
    -- They could not go before it anyway: what is not due is not looked at.  Once it is over they go at once.
    update webhook_delivery as delivery
       set due_at = now() + coalesce(attempt.wait, interval '0 s')
      from attempt
     where delivery.endpoint_id = attempt.endpoint_id
       and delivery.call_id = attempt.call_id
       and delivery.event_id > attempt.event_id
       and delivery.state = 'due'
       and delivery.attempts = 0
       and (delivery.due_at < now() + attempt.wait or attempt.wait is null and delivery.due_at > now())
), verdict as (
    select endpoint_id, bool_or(result = 'delivered') as has_success, bool_or(result = 'gone') as is_gone,
           count(*) filter (where result in ('failed', 'gone')) as failures,
           max(retry_after_s) filter (where status_code = 429) as asked_s
      from attempt
     where result <> 'not_sent'
     group by endpoint_id
), endpoint as (
    select endpoint as before, endpoint.id, verdict.has_success, verdict.is_gone, verdict.failures, verdict.asked_s
      from verdict
     inner join webhook_endpoint as endpoint on endpoint.id = verdict.endpoint_id
     order by endpoint.id
       for no key update of endpoint  -- the deliveries that are written meanwhile refer to it
), held as (
    update webhook_endpoint
       set (failures, failing_since, hold_until, state, state_since, state_reason)
           = (select *
                from endpoint_after_attempts(endpoint.before, has_success, is_gone, endpoint.failures, asked_s,
                                             :in_a_row, :hold_s, :hold_max_s, :failing_days, :failures_min))
      from endpoint
     where webhook_endpoint.id = endpoint.id and webhook_endpoint.state = 'on'
    returning webhook_endpoint.id, webhook_endpoint.business_id, webhook_endpoint.state_reason,
              webhook_endpoint.state = 'off' as is_off
), disabled as (
    select held.id, held.state_reason,
           write_event(held.business_id, 'endpoint.disabled',
                       'evt_endpoint_disabled_' || held.id || '_' || (extract(epoch from now()) * 1000)::bigint, null,
                       jsonb_build_object('endpoint_id', held.id, 'reason', held.state_reason), held.id) as written
      from held
     where is_off
), counted as (
    insert into counter (name, label, value)
    select name, label, sum(value)
      from (select 'webhook' as name,
                   case
                       when result = 'delivered' then 'delivered' when result = 'not_sent' then 'not_sent'
                       when wait is null then 'given_up'
                       else 'failed'
                   end as label,
                   1 as value
              from attempt
            union all
            select took.*
              from attempt
             cross join lateral seconds_counted('webhook_seconds', extract(epoch from now() - at)::float8) as took
             where result = 'delivered') as news
     group by name, label
     order by name, label
    on conflict (name, label, slot) do update set value = counter.value + excluded.value
), more as (
    select pg_notify('outbound_delivery', '') where exists (select from attempt)
)
select held.id, held.state_reason
  from held
  left join disabled on disabled.id = held.id
 where is_off and (select count(*) from more) is not null;  -- a join the planner leaves out, and the notice with it
