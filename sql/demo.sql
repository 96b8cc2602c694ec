-- demo.sql: the demo's summary of its own small database.  Read by outbound/demo.py alone.

-- name: summary()^
-- Returns  one row: how every call ended, and what must be zero
select (select count(*) from call_log) as calls,
       (select coalesce(jsonb_object_agg(status, calls), '{}')
          from (select status, count(*) as calls from call_log group by status) as by_status) as by_status,
       (select count(*) from leads where duplicate_of is null) as leads,
       (select count(*) from call_log
         where status in ('initiated', 'ringing', 'in-progress') and call_sid is null) as pending_without_call_sid,
       (select count(*) from call_log where status in ('queued', 'claimed')) as queue_len,
       (select coalesce(jsonb_object_agg(name, calls), '{}')
          from (select business.name, count(*) as calls
                  from call_log
                 inner join business on business.id = business_id
                 where status in ('claimed', 'initiated', 'ringing', 'in-progress')
                 group by business.name) as by_business) as live,
       (select count(*) from call_log
         where call_status_rank(status) < 5 or call_sid is not null and lead_id is null) as unsettled;

-- name: every_call()
-- Returns  what the table on the screen shows
select call_log.id, business.name as business, call_log.status, call_sid is not null as has_sid, lead_id,
       case
           when error_code is not null then error_code
           when status = 'queued' then (select code from why_not_dialed(call_log.id))
       end as why,
       idempotency_key as story
  from call_log
  inner join business on business.id = business_id
 order by call_log.id;
