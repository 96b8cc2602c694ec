-- The data of an event as it is sent: what was written, and what is known of the person now.  That stands in no event, so
-- that a person who is forgotten is forgotten there too.
create or replace function event_payload(event event_log) returns jsonb
language sql stable
as $$
    select $1.data || coalesce(
               (select jsonb_build_object(
                           'to', call_log.to_number, 'from', call_log.from_number, 'contact', call_log.contact,
                           'key', case when retry_of is null then call_log.idempotency_key end
                       ) || case
                           when $1.type = 'lead.created' then jsonb_build_object('phone', leads.phone) else '{}'
                       end
                  from call_log
                  left join leads on leads.id = call_log.lead_id
                 where call_log.id = $1.call_id),
               '{}'
           )
$$;
