-- The calls that wait, by business, campaign and state: due, and dialed as room allows; withheld though they are due
-- (paused, campaign_not_started, spend_cap); not_due; call_paused, each by itself.  Lane by lane, from the index alone.
create or replace view queue_load as
with stopped as (
    select paused.scope, paused.key, 'paused' as reason from dial_control as paused where paused.state <> 'running'
    union all
    select cap.scope, cap.key, 'spend_cap' as reason
      from cap_room as cap
     where cap.code is not null
       and not exists (select
                         from dial_control as control
                        where control.scope = cap.scope and control.key = cap.key and control.state <> 'running')
), lane_load as (
    select business_id, coalesce(campaign_id, 0) as campaign_id, from_number, count(*) as queued,
           count(*) filter (where due_at <= now()) as due, min(due_at) as oldest_due_at,
           min(due_at) filter (where due_at > now()) as next_due_at
      from call_log
     where status = 'queued' and paused_at is null
     group by business_id, coalesce(campaign_id, 0), from_number
), lane_wait as (
    select lane_load.*,
           case
               when everything.reason = 'paused' or by_business.reason = 'paused' or by_campaign.reason = 'paused'
                 or by_number.reason = 'paused'
                   then 'paused'
               when campaign.starts_at > now() then 'campaign_not_started'
               when coalesce(everything.reason, by_business.reason, by_campaign.reason) is not null then 'spend_cap'
               else 'due'
           end as state
      from lane_load
      left join campaign on campaign.id = lane_load.campaign_id
      left join stopped as everything on everything.scope = 'account'
      left join stopped as by_business
        on by_business.scope = 'business' and by_business.key = lane_load.business_id::text
      left join stopped as by_campaign
        on by_campaign.scope = 'campaign'
       and by_campaign.key = campaign_key(lane_load.campaign_id, lane_load.business_id)
      left join stopped as by_number on by_number.scope = 'number' and by_number.key = lane_load.from_number
)
select lane_wait.business_id, nullif(lane_wait.campaign_id, 0) as campaign_id, part.state,
       sum(part.calls)::bigint as calls, min(part.due_at) as first_due_at
  from lane_wait
 cross join lateral (
       values (lane_wait.state, due, oldest_due_at), ('not_due', queued - due, next_due_at)
 ) as part (state, calls, due_at)
 where part.calls > 0
 group by lane_wait.business_id, nullif(lane_wait.campaign_id, 0), part.state
union all
select business_id, campaign_id, 'call_paused', count(*), min(due_at)
  from call_log
 where status = 'queued' and paused_at is not null
 group by business_id, campaign_id;
