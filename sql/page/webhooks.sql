-- webhooks.sql: what the screens of webhooks show beside the API's answer.  Read by outbound/page/screens/webhooks.py alone.

-- name: given_up(business_id, counted_max)
-- Returns  by endpoint how many deliveries were given up, counted_max at most of each
select endpoint.id, counted.deliveries
  from webhook_endpoint as endpoint
 cross join lateral (
       select count(*) as deliveries
         from (select
                 from webhook_delivery
                where endpoint_id = endpoint.id and state = 'given_up'
                limit :counted_max) as given_up
 ) as counted
 where :business_id::bigint is null or endpoint.business_id = :business_id;
