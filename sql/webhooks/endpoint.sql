-- endpoint.sql: who receives events, and what became of each.  Read by outbound/webhooks/endpoint.py alone.

-- name: add_endpoint(business_id, url, event_types, payload, own_networks, who)^
-- Post events to this address from now on.
--
-- Returns  its `id` and `secret_generation`; no row where there is no such business
-- Undo     remove_endpoint
with added as (
    insert into webhook_endpoint (business_id, url, event_types, payload, own_networks, created_by)
    select :business_id, :url, :event_types::text[], :payload, :own_networks, :who
     where :business_id::bigint is null or exists (select from business where id = :business_id)
    returning id, secret_generation
), noted as (
    insert into audit (who, action, scope, key, details)
    select :who, 'webhook.add', 'webhook_endpoint', id,
           jsonb_build_object('business_id', :business_id::bigint, 'event_types', :event_types::text[],
                              'payload', :payload::text)
      from added
)
select id, secret_generation from added;

-- name: list_endpoints(business_id, endpoint_id, before_id, page_max)
-- Returns  a page of all endpoints or of those of one business, the newest first, or one of them, with what waits for
--          each and since when, and what went wrong last; all of them where page_max is NULL
with place as materialized (
    -- Where the planner does not know them, it takes each arm's index in its order; and where the order begins with the
    -- business, and the business is a range, no other index has it.
    select coalesce(:before_id::bigint, 9223372036854775807) as last_id, :page_max::bigint as most
), endpoint as (
    (select *
       from webhook_endpoint
      where id = :endpoint_id::bigint and (:business_id::bigint is null or business_id = :business_id))
    union all
    (select *
       from webhook_endpoint
      where business_id between :business_id::bigint and :business_id::bigint
        and :endpoint_id::bigint is null
        and id < (select last_id from place)
      order by business_id desc, id desc
      limit (select most from place))
    union all
    (select *
       from webhook_endpoint
      where :business_id::bigint is null
        and :endpoint_id::bigint is null
        and id < (select last_id from place)
      order by id desc
      limit (select most from place))
)
select endpoint.id, endpoint.business_id,
       (select business.name from business where business.id = endpoint.business_id) as business, url, event_types,
       payload, endpoint.state,
       endpoint.state_reason, endpoint.state_since, failures, failing_since, hold_until, secret_generation, rotated_at,
       endpoint.created_by, endpoint.created_at, waiting.due, oldest.at as oldest_at, last.at as last_delivered_at,
       failed.error as last_error
  from endpoint
 cross join lateral (
       -- 1,000 at most are counted: more than that wait for a dead endpoint.
       select count(*) as due
         from (select
                 from webhook_delivery
                where endpoint_id = endpoint.id and state = 'due'
                limit 1000) as counted
 ) as waiting
  left join lateral (
       select event.at
         from webhook_delivery as delivery
        inner join event_log as event on event.id = delivery.event_id
        where delivery.endpoint_id = endpoint.id and delivery.state = 'due'
        order by delivery.due_at, delivery.event_id
        limit 1
 ) as oldest on true
  left join lateral (
       select done_at as at
         from webhook_delivery
        where endpoint_id = endpoint.id and state = 'done'
        order by event_id desc
        limit 1
 ) as last on true
  left join lateral (
       -- The more often one was tried, the later it is due.
       select error
         from webhook_delivery
        where endpoint_id = endpoint.id and state = 'due' and error is not null
        order by due_at desc, event_id desc
        limit 1
 ) as failed on failing_since is not null
 order by endpoint.id desc;

-- name: set_endpoint(endpoint_id, business_id, url, own_networks, event_types, payload, state, who)^
-- Change what is not NULL.  Switched on or off, its failures are forgotten; switched on, what waited is due.
--
-- Moves    on <-> off
-- Returns  its `id` and `state`; no row where there is no such endpoint, or none of this business
with endpoint as (
    select id, state
      from webhook_endpoint
     where id = :endpoint_id and (:business_id::bigint is null or business_id = :business_id)
       for no key update
), changed as (
    update webhook_endpoint
       set url = coalesce(:url, url),
           own_networks = case when :url::text is null then own_networks else :own_networks::boolean end,
           event_types = coalesce(:event_types::text[], event_types),
           payload = coalesce(:payload, payload),
           state = coalesce(:state, webhook_endpoint.state),
           state_since = case when :state <> endpoint.state then now() else state_since end,
           state_reason = case
               when :state = 'off' then 'It was switched off, as the audit says.'
               when :state = 'on' then null
               else state_reason
           end,
           failures = case when :state is null then failures else 0 end,
           failing_since = case when :state is null then failing_since end,
           hold_until = case when :state is null then hold_until end
      from endpoint
     where webhook_endpoint.id = endpoint.id
    returning webhook_endpoint.id, webhook_endpoint.state, endpoint.state as was
), due as (
    update webhook_delivery
       set due_at = now()
      from changed
     where endpoint_id = changed.id
       and changed.state = 'on'
       and was = 'off'
       and webhook_delivery.state = 'due'
       and due_at > now()
), noted as (
    insert into audit (who, action, scope, key, details)
    select :who, 'webhook.set', 'webhook_endpoint', id,
           jsonb_strip_nulls(jsonb_build_object('event_types', :event_types::text[], 'payload', :payload::text,
                                                'state', :state::text, 'url_changed', :url::text is not null))
      from changed
)
select id, state, pg_notify('outbound_event', '') from changed;

-- name: begin_removal(endpoint_id, business_id)$
-- Send nothing more to an endpoint that is being removed; if its removal stops here, it stays off.
--
-- Moves    on -> off
-- Returns  is there such an endpoint
with removed as (
    update webhook_endpoint
       set state = 'off', state_since = now(), state_reason = 'It is being removed.', failures = 0,
           failing_since = null, hold_until = null
     where id = :endpoint_id and (:business_id::bigint is null or business_id = :business_id)
    returning id
)
select exists (select from removed);

-- name: remove_deliveries(endpoint_id, batch_max)^
-- Delete deliveries of an endpoint that is being removed.
--
-- Returns  how many were `deleted`, and how many of them were `waiting`
-- Undo     none
with deleted as (
    delete from webhook_delivery
     using (select endpoint_id, event_id
              from webhook_delivery
             where endpoint_id = :endpoint_id
             order by event_id
             limit :batch_max
               for update) as first
     where webhook_delivery.endpoint_id = first.endpoint_id and webhook_delivery.event_id = first.event_id
    returning webhook_delivery.state
)
select count(*) as deleted, count(*) filter (where state = 'due') as waiting from deleted;

-- name: remove_endpoint(endpoint_id, who)^
-- Forget an endpoint whose deliveries are deleted.
--
-- Returns  its `id`; no row where somebody else has removed it
with removed as (
    delete from webhook_endpoint where id = :endpoint_id returning id
), noted as (
    insert into audit (who, action, scope, key, details)
    select :who, 'webhook.remove', 'webhook_endpoint', id, '{}' from removed
)
select id from removed;

-- name: rotate_secret(endpoint_id, business_id, who)^
-- Sign with another secret from now on, and for 24 hours with the one before as well.
--
-- Returns  its `id` and `secret_generation`; no row where there is no such endpoint, or it was rotated in the 24 hours before
with rotated as (
    update webhook_endpoint
       set secret_generation = secret_generation + 1, rotated_at = now()
     where id = :endpoint_id
       and (:business_id::bigint is null or business_id = :business_id)
       and coalesce(rotated_at < now() - interval '24 hours', true)
    returning id, secret_generation
), noted as (
    insert into audit (who, action, scope, key, details)
    select :who, 'webhook.rotate', 'webhook_endpoint', id, jsonb_build_object('generation', secret_generation)
      from rotated
)
select id, secret_generation from rotated;

-- name: write_ping(endpoint_id, business_id)^
-- Write a ping for one endpoint, whatever types it wants.
--
-- Returns  the ping's `public_id`; no row where there is no such endpoint
with event as (
    insert into event_log (business_id, type, public_id, data)
    select business_id, 'ping', 'evt_ping_' || id || '_' || (extract(epoch from clock_timestamp()) * 1000)::bigint,
           jsonb_build_object('endpoint_id', id)
      from webhook_endpoint as endpoint
     where id = :endpoint_id and (:business_id::bigint is null or business_id = :business_id)
    returning id, public_id
), delivery as (
    insert into webhook_delivery (endpoint_id, event_id)
    select :endpoint_id, id from event
    returning event_id
)
select public_id, pg_notify('outbound_event', public_id) from event inner join delivery on delivery.event_id = event.id;

-- name: list_deliveries(endpoint_id, business_id, states, before_id, page_max)
-- Returns  deliveries of an endpoint, the newest event first, and what came of the last attempt
select delivery.event_id, event.public_id, event.type, event.call_id, event.at, delivery.state, delivery.attempts,
       case when delivery.state = 'due' then delivery.due_at end as next_attempt_at, delivery.status_code,
       delivery.error, delivery.took_ms, delivery.done_at, delivery.is_replay
  from (select *
          from webhook_delivery
         where exists (select
                         from webhook_endpoint
                        where id = :endpoint_id and (:business_id::bigint is null or business_id = :business_id))
           -- Between two places of the key, which no other index can lead to.
           and (endpoint_id, event_id) < (:endpoint_id, coalesce(:before_id, 9223372036854775807))
           and endpoint_id >= :endpoint_id
           and (:states::text[] is null or state = any(:states::text[]))
         order by endpoint_id desc, event_id desc
         limit :page_max) as delivery
 cross join lateral (
       -- One look by the key each: those of one endpoint may be few among the events of all.
       select public_id, type, call_id, at from event_log where id = delivery.event_id limit 1
 ) as event
 order by delivery.event_id desc;

-- name: replay_deliveries(endpoint_id, business_id, event_ids, types, since, until, given_up_only, after_id, batch_max, who)^
-- Send events once more, batch_max at most, under the ids that they had: those of given public ids, of some types, of a
-- time, or of all that was given up.  What is on its way already stays as it is.
--
-- Moves    done, given_up -> due
-- Returns  `replayed`, how many, and `last_id`, after which the next batch begins; or `unknown`, the first of the ids that
--          is of no event for this endpoint, and then none is sent; no row where there is no such endpoint
with endpoint as (
    select id
      from webhook_endpoint
     where id = :endpoint_id and (:business_id::bigint is null or business_id = :business_id)
), unknown as (
    select wanted.id
      from endpoint
     cross join unnest(:event_ids::text[]) with ordinality as wanted (id, place)
     where not exists (
         select
           from event_log as event
          inner join webhook_delivery as delivery on delivery.event_id = event.id
          where event.public_id = wanted.id and delivery.endpoint_id = endpoint.id
     )
     order by wanted.place
     limit 1
), chosen as (
    select delivery.endpoint_id, delivery.event_id
      from endpoint
     inner join webhook_delivery as delivery on delivery.endpoint_id = endpoint.id
     inner join event_log as event on event.id = delivery.event_id
     where delivery.state in ('done', 'given_up')
       and (delivery.state = 'given_up' or not :given_up_only)
       and (:event_ids::text[] is null or event.public_id = any(:event_ids::text[]))
       and (:types::text[] is null or event.type = any(:types::text[]))
       and (:since::timestamptz is null or event.at >= :since)
       and (:until::timestamptz is null or event.at < :until)
       and delivery.event_id > :after_id
       and not exists (select from unknown)
     order by delivery.event_id
     limit :batch_max
       for update of delivery
), moved as (
    update webhook_delivery as delivery
       set state = 'due', attempts = 0, due_at = now(), is_replay = true, done_at = null
      from chosen
     where delivery.endpoint_id = chosen.endpoint_id and delivery.event_id = chosen.event_id
    returning delivery.event_id
), noted as (
    insert into audit (who, action, scope, key, details)
    select :who, 'webhook.replay', 'webhook_endpoint', id,
           jsonb_build_object('deliveries', (select count(*) from moved))
      from endpoint
     where not exists (select from unknown)
)
select (select count(*) from moved) as replayed, (select max(event_id) from moved) as last_id,
       (select id from unknown) as unknown, pg_notify('outbound_event', '')
  from endpoint;
