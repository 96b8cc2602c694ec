-- zone.sql: in which time zone a screen shows moments.  Read by outbound/page/zone.py alone.

-- name: zone(business_id)$
-- Returns  the zone of a business; of all, the one that most of them are in; nothing where there is none
select mode() within group (order by time_zone) from business where :business_id::bigint is null or id = :business_id;
