-- metrics.sql: what the queue looks like right now.  Read by outbound/metrics.py alone.

-- name: read_metrics(worker_silent_s)
-- One bounded read for a scrape: live rows through their partial indexes, totals from their counters; history is not
-- touched.
--
-- Returns  (name, label, value); label is NULL where a metric has none
select 'calls' as name, live.status as label, count(call_log.status)::float8 as value
  from (values ('claimed'), ('initiated'), ('ringing'), ('in-progress')) as live (status)
  left join call_log
    on call_log.status = live.status and call_log.status in ('claimed', 'initiated', 'ringing', 'in-progress')
 group by live.status
union all
select 'calls', 'queued',
       (select count(*) from call_log where status = 'queued' and paused_at is null)
       + (select count(*) from call_log where status = 'queued' and paused_at is not null)  -- two small indexes
union all
select 'due', null, count(*) from call_log where status = 'queued' and paused_at is null and due_at <= now()
union all
select 'oldest_due_seconds', null, coalesce(extract(epoch from now() - min(oldest.due_at)), 0)
  from lane
 cross join lateral (select due_at from call_log
                      where business_id = lane.business_id and coalesce(campaign_id, 0) = lane.campaign_id
                        and from_number = lane.from_number and status = 'queued' and paused_at is null
                        and due_at <= now()
                      order by due_at, id limit 1) as oldest
union all
select 'stale', rule.rule, count(overdue.rule)
  from (values ('claimed'), ('no_call_sid'), ('silent'), ('no_lead')) as rule (rule)
  left join (select case
                        when status = 'claimed' then 'claimed'
                        when call_is_in_doubt(status, error_code) then 'silent'
                        when call_status_rank(status) = 5 then 'no_lead'
                        when call_sid is null then 'no_call_sid'
                        else 'silent'
                    end as rule
               from call_log
              where overdue_at < now()) as overdue on overdue.rule = rule.rule
 group by rule.rule
union all
select 'pending_without_call_sid', null, count(*)
  from call_log
 where status in ('initiated', 'ringing', 'in-progress') and call_sid is null
union all
select 'worker_threads', null, coalesce(sum(threads), 0)
  from worker
 where seen_at > now() - make_interval(secs => :worker_silent_s)
union all
select 'duty', name, extract(epoch from last_success_at) from duty
union all
select name, label, sum(value) from counter group by name, label;
