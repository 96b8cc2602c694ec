-- What `old_write_calls` (make_old_write_calls) does to the job from which a call, `call`, was adopted.  A job is never
-- 'queued' again, and 'calling' only with a call_sid: no old worker takes it then.
create or replace function old_job_update(old_schema text) returns text
language sql stable
as $$
    select format($job$
        if call.job_id is not null and (call.has_ended or call.call_sid is not null) then
            update %I.outbound_call_jobs as o
               set %s
             where o.id = call.job_id and o.status is distinct from 'completed';
        end if;
    $job$, old_schema, bridge_assignments(old_schema, 'outbound_call_jobs', array[
        ['case when not call.has_ended then ''calling'' when call.word = ''completed'' then ''completed'' else ''failed'''
         ' end', 'status', ''],
        ['call.call_sid', 'call_sid', ''],
        ['call.call_sid', 'twilio_call_sid', ''],
        ['call.row_id', 'call_log_id', ''],
        ['call.error_message', 'error_message', ''],
        ['call.dialed_at', 'started_at', ''],
        ['case when call.has_ended then coalesce(call.ended_at, now()) end', 'completed_at', '']]))
$$;
