-- The query by which `old_write_calls` (make_old_write_calls) reads our calls, each with its row in the old call_log where it
-- has one, the row that the old program made for its call_sid, and the job from which it was adopted.  {here} stands for
-- our schema, {calls} for the old call_log, and `call_ids` for the calls.
create or replace function old_calls_to_write() returns text
language sql immutable
as $$
    select $query$
    select call_log.id, call_log.business_id, call_log.call_sid, call_log.from_number, call_log.to_number,
           call_log.direction, call_log.duration_s, call_log.error_code, call_log.error_message, call_log.dialed_at,
           call_log.ended_at, call_log.lead_id, call_log.contact ->> 'name' as customer_name,
           least(coalesce(call_log.dialed_at, call_log.created_at), now()) as began_at,
           -- One that went back to the queue was not sent; it is a call again when it is dialed again.
           case
               when call_log.status in ('queued', 'claimed') then 'failed'
               when call_log.status = 'in-progress' then 'in_progress'
               else call_log.status
           end as word,
           case when call_log.status in ('queued', 'claimed') then 'failed' else call_log.status end as call_status,
           {here}.call_status_rank(call_log.status) = 5 as has_ended,
           call_log.direction = 'inbound' or call_log.dialed_at is not null or call_log.call_sid is not null
           or call_log.status in ('initiated', 'ringing', 'in-progress') as was_dialed,
           business.old_id as old_business_id, link.old_id as row_id, link.fate, present.id as present_id,
           twin.id as twin_id, job.old_id as job_id
      from unnest(call_ids) as wanted (id)
     inner join {here}.call_log on call_log.id = wanted.id
     inner join lateral (
           select old_id
             from {here}.adopted
            where kind = 'business' and new_id = call_log.business_id and fate = 'adopted'
            order by old_id
            limit 1
     ) as business on true
      left join lateral (
           select old_id, fate
             from {here}.adopted
            where kind = 'call' and new_id = call_log.id
            order by old_id desc
            limit 1
      ) as link on true
      left join {calls} as present on present.id = link.old_id
      left join lateral (
           select o.id
             from {calls} as o
            where o.call_sid = call_log.call_sid
              and o.call_sid <> ''
              and present.call_sid is distinct from call_log.call_sid
            limit 1
      ) as twin on true
      left join lateral (
           select old_id
             from {here}.adopted
            where kind = 'job'
              and new_id = coalesce(call_log.retry_of, call_log.id)
              and adopted.fate in ('queued_here', 'call_adopted', 'job_asked')  -- not one that its telephone held up
            limit 1
      ) as job on true
     order by call_log.id
$query$
$$;
