-- clock.sql: by whose clocks the page shows moments.  Read by outbound/page/clock.py alone.

-- name: find_zone(business_id)$
-- Returns  the time zone of a business, or (null) the one of most businesses
select mode() within group (order by time_zone) from business where :business_id::bigint is null or id = :business_id;
