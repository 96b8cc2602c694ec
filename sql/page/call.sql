-- call.sql: what the screen of one call shows beside the API's answer.  Read by outbound/page/screens/calls.py alone.

-- name: version(call_id)$
-- Returns  a text that differs once the call has changed
select version from page_versions(array[:call_id::bigint], '{}');

-- name: deliveries(call_id, business_id)
-- Returns  what was sent, or is to be sent, to endpoints about this call, the newest first; of one business, its own endpoints
select event_log.public_id, event_log.type, event_log.at, delivery.endpoint_id, delivery.state, delivery.attempts,
       delivery.status_code, delivery.error, delivery.done_at
  from event_log
 inner join webhook_delivery as delivery on delivery.event_id = event_log.id
 inner join webhook_endpoint as endpoint on endpoint.id = delivery.endpoint_id
 where event_log.call_id = :call_id
   and (:business_id::bigint is null or endpoint.business_id = :business_id)
 order by event_log.id desc, delivery.endpoint_id asc
 limit 50;
