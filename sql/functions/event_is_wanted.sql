-- Does somebody want events of this type of a business: an endpoint, or a reader of the stream?
create or replace function event_is_wanted(business_id bigint, type text) returns boolean
language sql stable
as $$
    select exists (select
                     from webhook_endpoint as endpoint
                    where (endpoint.business_id is null or endpoint.business_id = $1)
                      and endpoint_wants(endpoint.event_types, $2))
           or exists (select
                        from event_reader
                       where (event_reader.business_id is null or event_reader.business_id = $1) and wanted_until > now())
$$;
