-- inbound_calls.sql: calls that came in, for the page.  Read by outbound/page/inbound_calls.py alone.

-- name: newest_inbound(business_id, before_id, page_max, scan_max)
-- Inbound calls, the newest first, among the scan_max newest calls before an id.
--
-- Returns  a row per call; and where the look ended before the oldest call, a row without a status in whose `id` the next
--          look begins
with looked_at as materialized (
    select call_log.id, call_log.business_id, call_log.direction
      from call_log
     where call_log.id < coalesce(:before_id::bigint, 9223372036854775807)
     order by call_log.id desc
     limit :scan_max
), found as materialized (
    select looked_at.id
      from looked_at
     where looked_at.direction = 'inbound'
       and (:business_id::bigint is null or looked_at.business_id = :business_id)
     order by looked_at.id desc
     limit :page_max
), ends as (
    select case
               when (select count(*) from found) >= :page_max::bigint then (select min(found.id) from found)
               when (select count(*) from looked_at) >= :scan_max::bigint then (select min(looked_at.id) from looked_at)
           end as id
)
select call_log.id, call_log.from_number as number, call_log.status, call_log.created_at, call_log.answered_at,
       call_log.duration_s, call_log.lead_id, business.name as business, business.time_zone
  from found
 inner join call_log on call_log.id = found.id
 inner join business on business.id = call_log.business_id
union all
select ends.id, null, null, null, null, null, null, null, null from ends where ends.id is not null
 order by id desc, status asc nulls last;
