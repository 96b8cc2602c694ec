-- Write one event, and a delivery of it for each endpoint that wants it.  An event that is there already, by its public
-- id, is not written again.
create or replace function write_event(
    business_id bigint, type text, public_id text, call_id bigint, data jsonb, but_endpoint bigint default null
) returns void
language sql
as $$
    with event as (
        insert into event_log (business_id, type, public_id, call_id, data)
        values ($1, $2, $3, $4, $5)
        on conflict do nothing
        returning event_log.id
    ), delivery as (
        insert into webhook_delivery (endpoint_id, event_id, call_id, due_at)
        -- Behind an earlier event of the call that waits for its next attempt, it waits as long.
        select endpoint.id, event.id, $4,
               greatest(now(), (select max(earlier.due_at)
                                  from webhook_delivery as earlier
                                 where earlier.endpoint_id = endpoint.id
                                   and earlier.call_id = $4
                                   and earlier.state in ('due', 'claimed', 'sending')))
          from event
         inner join webhook_endpoint as endpoint on endpoint.business_id is null or endpoint.business_id = $1
         where endpoint_wants(endpoint.event_types, $2) and endpoint.id is distinct from $6
    )
    select pg_notify('outbound_event', '') from event
$$;
