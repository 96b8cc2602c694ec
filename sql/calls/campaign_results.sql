-- campaign_results.sql: what a campaign has come to, callee by callee.  Read by outbound/calls/campaign_results.py alone.

-- name: results(campaign_id)
-- List the callees of a campaign, each telephone once for all its attempts.  Reads all of the campaign's calls.
--
-- Returns  per callee its `result`: reached (somebody answered), machine (only a machine did), waiting (a call of it waits
--          or is in the air), refused (a rule or an operator ended it before anybody rang), not_reached; what came of the
--          last call that ended; when the next is due
with own as (
    select call_log.*, call_status_rank(call_log.status) < 5 as is_live,
           call_log.status = 'completed'
           and coalesce(call_log.answered_by, 'human') !~ '^(machine|fax)' as is_reached,
           call_log.status = 'completed' and call_log.answered_by ~ '^(machine|fax)' as is_machine
      from call_log
     where call_log.campaign_id = :campaign_id and call_log.direction = 'outbound'
), callee as (
    select phone_key(to_number) as telephone,
           min(to_number) as number,
           count(*) filter (where dialed_at is not null) as attempts,
           bool_or(is_reached) as is_reached,
           bool_or(is_machine) as is_machine,
           bool_or(is_live) as is_live,
           max(id) filter (where not is_live) as last_id,
           max(id) filter (where is_live) as live_id
      from own
     group by phone_key(to_number)
)
select callee.number,
       case
           when is_reached then 'reached'
           when is_live then 'waiting'
           when is_machine then 'machine'
           when attempts = 0 then 'refused'
           else 'not_reached'
       end as result,
       attempts, last.id as last_call, last.status as last_outcome, last.error_code as last_error,
       last.answered_by as last_answered_by, coalesce(last.ended_at, last.created_at) as last_at,
       last.duration_s as last_duration_s, live.id as next_call, live.status as next_status,
       case when live.status in ('queued', 'claimed') then live.due_at end as next_at, live.held_by as next_held_by
  from callee
  left join call_log as last on last.id = callee.last_id
  left join call_log as live on live.id = callee.live_id
 order by callee.telephone;

-- name: find_campaign(campaign_id)^
select campaign.id, campaign.name, business.id as business_id, business.name as business, business.time_zone
  from campaign
 inner join business on business.id = campaign.business_id
 where campaign.id = :campaign_id;
