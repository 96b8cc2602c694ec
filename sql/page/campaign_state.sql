-- campaign_state.sql: how campaigns go, for the page.  Read by outbound/page/campaign_state.py alone.

-- name: find_campaigns(business_id, campaign_id, before_queue, before_id, rows_max, counted_max)
-- Campaigns that have waiting calls, the newest first, and then the others; or the one with an id.
--
-- Of what waits, counted_max calls of each are counted at most.  `done` and `answered` are of the last 40 days.
--
-- Returns  of each its columns; `held` is a list of {code, calls, until}: due, paused, not_due or what holds them
with page as materialized (
    select campaign.*, coalesce(queue.has_queue, false) as has_queue
      from campaign
      left join lateral (
           select true as has_queue
             from call_log
            where call_log.campaign_id = campaign.id and call_log.status = 'queued'
            limit 1
      ) as queue on true
     where (:business_id::bigint is null or campaign.business_id = :business_id)
       and (:campaign_id::bigint is null or campaign.id = :campaign_id)
       and (:before_id::bigint is null
            or (coalesce(queue.has_queue, false), campaign.id) < (:before_queue::boolean, :before_id::bigint))
     order by coalesce(queue.has_queue, false) desc, campaign.id desc
     limit :rows_max
)
select page.id, page.name, page.business_id, business.name as business, business.time_zone, page.has_queue,
       page.starts_at, page.ends_at, coalesce(page.starts_at > now(), false) as is_to_come,
       coalesce(page.ends_at <= now(), false) as has_ended, page.consent_required, page.local_presence,
       page.registry_max_age_days, retry_ladder.name as retry_policy, page.window_id as own_window_id,
       business.window_id as business_window_id,
       coalesce(control.state, 'running') as state, control.state_since, mover.who, mover.reason,
       coalesce(control.refused_calls <> '{}', false) as is_breaker,
       coalesce(of_business.state, 'running') as business_state, of_business.state_since as business_since,
       of_business_mover.who as business_who, of_business_mover.reason as business_reason,
       past.done, past.answered, live.in_the_air, live.talking, queue.waiting, queue.held
  from page
 inner join business on business.id = page.business_id
  left join retry_ladder on retry_ladder.id = coalesce(page.ladder_id, business.ladder_id)
  left join dial_control as control on control.scope = 'campaign' and control.key = page.id::text
  left join dial_control as of_business on of_business.scope = 'business' and of_business.key = business.id::text
  left join lateral last_pause('campaign', page.id::text, control.state_since, control.state_reason) as mover
    on control.state <> 'running'
  left join lateral last_pause('business', business.id::text, of_business.state_since, of_business.state_reason)
       as of_business_mover on of_business.state <> 'running'
 cross join lateral (
       select coalesce(sum(spend.calls), 0)::bigint as done, coalesce(sum(spend.answered), 0)::bigint as answered
         from spend
        where spend.scope = 'campaign' and spend.key = page.id::text and spend.period = 'day'
 ) as past
 cross join lateral (
       select count(*) as in_the_air, count(*) filter (where call_log.status = 'in-progress') as talking
         from call_log
        where call_log.campaign_id = page.id
          and call_log.status in ('initiated', 'ringing', 'in-progress')
          and call_log.direction = 'outbound'
 ) as live
 cross join lateral (
       select coalesce(sum(part.calls), 0)::bigint as waiting,
              coalesce(jsonb_agg(to_jsonb(part) order by part.calls desc, part.code asc), '[]') as held
         from (select counted.code, count(*) as calls, min(counted.until) as until
                 from (select waits_for(call_log.paused_at, call_log.due_at, call_log.held_by) as code,
                              case
                                  when call_log.paused_at is null and call_log.due_at > now() then call_log.due_at
                              end as until
                         from call_log
                        where call_log.campaign_id = page.id and call_log.status = 'queued' and page.has_queue
                        limit :counted_max) as counted
                group by counted.code) as part
 ) as queue
 order by page.has_queue desc, page.id desc;

-- name: find_first(campaign_id)^
-- Returns  when the next call of a campaign is due, and what holds it; nothing where none waits
select first.due_at, first.held_by
  from first_waiting_call(array(select lane from lane where lane.campaign_id = :campaign_id)) as first;

-- name: find_limits(campaign_id, with_account)
-- The limits that a campaign's calls go through: its own, its business's and (where that is wanted) those of everything,
-- and how much of each is used.
--
-- Returns  (scope, key, name), each limit (NULL: none) and what is used of it now, in this hour and on this day
with scope (place, scope, key, name) as (
    select 1, 'campaign', campaign.id::text, campaign.name from campaign where campaign.id = :campaign_id
    union all
    select 2, 'business', business.id::text, business.name
      from campaign
     inner join business on business.id = campaign.business_id
     where campaign.id = :campaign_id
    union all
    select 3, 'account', '', null where :with_account::boolean
)
select scope.scope, scope.key, scope.name, control.calls_per_second, control.live_max,
       coalesce(control.weight, 1) as weight, cap.calls_per_hour, cap.calls_per_day, cap.minutes_per_hour,
       cap.minutes_per_day, live.calls as live, used.hour_calls, used.day_calls, used.hour_minutes, used.day_minutes
  from scope
  left join dial_control as control on control.scope = scope.scope and control.key = scope.key
  left join spend_cap as cap on cap.scope = scope.scope and cap.key = scope.key
  left join lateral (
       select max(cap_usage.calls) filter (where cap_usage.period = 'hour')::bigint as hour_calls,
              max(cap_usage.calls) filter (where cap_usage.period = 'day')::bigint as day_calls,
              max(ceil(cap_usage.seconds / 60)) filter (where cap_usage.period = 'hour')::bigint as hour_minutes,
              max(ceil(cap_usage.seconds / 60)) filter (where cap_usage.period = 'day')::bigint as day_minutes
         from cap_usage
        where cap_usage.scope = scope.scope and cap_usage.key = scope.key
  ) as used on true
 cross join lateral (
       select count(*) as calls
         from call_log
        where call_log.status in ('claimed', 'initiated', 'ringing', 'in-progress')
          and call_log.direction = 'outbound'
          and in_scope(call_log, scope.scope, scope.key)
 ) as live
 order by scope.place;

-- name: find_numbers(campaign_id)
-- Returns  the numbers that a campaign calls from, or else its business's first; is each paused, and since when
with own as (
    select campaign_number.phone from campaign_number where campaign_number.campaign_id = :campaign_id
), shown as (
    select own.phone, true as is_own from own
    union all
    (select business_number.phone, false
       from campaign
      inner join business_number on business_number.business_id = campaign.business_id
      where campaign.id = :campaign_id and not exists (select from own)
      order by business_number.phone
      limit 1)
)
select shown.phone, shown.is_own, coalesce(control.state, 'running') as state, control.state_since, control.live_max
  from shown
  left join dial_control as control on control.scope = 'number' and control.key = shown.phone
 order by shown.phone
 limit 100;

-- name: version(campaign_id)$
-- Returns  a text that differs once the campaign has changed
select version from page_versions('{}', array[:campaign_id::bigint]);
