-- callee.sql: may a number be called, for whom, and when.  Read by outbound/page/screens/callees.py alone.

-- name: verdicts(phone, business_id, rows_max, room_s)
-- Judge a call to this number as the claim would, now and whatever the limits: by each business; of one business, by it
-- and by each of its campaigns that has not ended.  rows_max of each at most.
--
-- Returns  `code`, NULL where it may be dialed now, `until` and `is_final` as call_obstacle has them; `opens_at`, when the
--          calling hours begin, which are `has_hours`; the callee's `zones`, and in which `zone` moments are shown; dials of
--          the last day and week, 100 at most of each, and what the retry policy allows of them
with asked as (
    (select id as business_id, name as business, null::bigint as campaign_id, null::text as campaign, ladder_id
       from business
      where :business_id::bigint is null or id = :business_id
      order by id
      limit :rows_max)
    union all
    (select business.id, business.name, campaign.id, campaign.name, coalesce(campaign.ladder_id, business.ladder_id)
       from campaign
      inner join business on business.id = campaign.business_id
      where campaign.business_id = :business_id and coalesce(campaign.ends_at > now(), true)
      order by campaign.id desc
      limit :rows_max)
)
select asked.business_id, asked.business, asked.campaign_id, asked.campaign, obstacle.code, obstacle.until,
       obstacle.is_final, hours.windows <> '{}' as has_hours, opening.at as opens_at, hours.zones,
       call_zone(:phone, null, asked.business_id) as zone,
       tried.day as day_dials, tried.week as week_dials, retry_ladder.attempts_per_day_max,
       retry_ladder.attempts_per_week_max
  from asked
  left join retry_ladder on retry_ladder.id = asked.ladder_id
 cross join lateral (
       select call_windows(asked.business_id, asked.campaign_id) as windows, callee_zones(:phone, null) as zones,
              jsonb_populate_record(null::call_log,
                                    jsonb_build_object('id', 0, 'business_id', asked.business_id,
                                                       'campaign_id', asked.campaign_id, 'to_number', :phone::text,
                                                       'direction', 'outbound')) as whole
 ) as hours
 cross join lateral (
       select case
                  when hours.windows <> '{}' then next_opening(hours.windows, hours.zones, now(), :room_s::float8)
              end as at
 ) as opening
  left join lateral call_obstacle(hours.whole, hours.windows, hours.zones, opening.at) as obstacle on true
 cross join lateral (
       select count(*) filter (where dialed_at > now() - interval '1 day') as day, count(*) as week
         from (select dialed_at
                 from dialed_since(asked.business_id, :phone, now() - interval '7 days')
                order by dialed_at desc
                limit 100) as dialed
 ) as tried
 order by asked.campaign_id nulls first, asked.business_id;
