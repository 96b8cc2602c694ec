-- Make `old_write_calls`, which writes our calls to the old call_log, and to the jobs from which they were adopted.
create or replace function make_old_write_calls(old_schema text) returns void
language plpgsql as $make$
declare
    here text := quote_ident(current_schema());
    calls text := format('%I.call_log', old_schema);
    leads text := format('%I.leads', old_schema);
    jobs text := format('%I.outbound_call_jobs', old_schema);
    has_jobs boolean := to_regclass(jobs) is not null;
    head text := format('create or replace function %s.old_write_calls(call_ids bigint[], wait text) returns void'
                        ' language plpgsql set search_path = %I, pg_temp set lock_timeout = ''20ms'''
                        ' set enable_seqscan = off as ', here, old_schema);
    body text;
    names text;
    vals text;
begin
    if to_regclass(calls) is null then
        execute head || quote_literal('begin end');
        return;
    end if;
    select string_agg(name, ', '), string_agg(value, ', ')
      into names, vals
      from bridge_columns(old_schema, 'call_log', array[
          ['call.old_business_id', 'business_id', 'tenant_id'],
          ['call.call_sid', 'call_sid', ''],
          ['call.from_number', 'from_number', ''],
          ['call.to_number', 'to_number', ''],
          ['call.direction', 'direction', ''],
          ['case call.direction when ''outbound'' then ''outbound-api'' else call.direction end', 'twilio_direction', ''],
          ['call.word', 'status', ''],
          ['call.call_status', 'call_status', ''],
          ['call.duration_s', 'duration', 'duration_s'],
          ['call.customer_name', 'customer_name', ''],
          ['call.error_code', 'error_code', ''],
          ['call.error_message', 'error_message', ''],
          ['call.began_at', 'created_at', ''],
          ['now()', 'updated_at', ''],
          [format('coalesce(%s, %s)',
                  case
                      when has_jobs then format('(select o.lead_id from %s as o where o.id = call.job_id)', jobs)
                      else 'null'
                  end,
                  case
                      when to_regclass(leads) is not null
                          then format('(select max(o.id) from %s as o inner join %s.adopted on adopted.old_id = o.id'
                                      ' where adopted.kind = ''lead'' and adopted.new_id = call.lead_id)', leads, here)
                      else 'null'
                  end), 'lead_id', '']]);
    body := replace(replace(replace($body$
declare
    call record;
begin
    perform set_config('lock_timeout', wait, true);
    lock table {calls} in row exclusive mode nowait;
    for call in
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
    loop
        if call.twin_id is not null then
            -- The old program made a row for this call_sid: that one is the call's, and ours goes.
            if call.fate = 'bridged' then
                delete from {here}.adopted where kind = 'call' and old_id = call.row_id;
                {forget_row}
                delete from {calls} as o where o.id = call.row_id;
            end if;
            insert into {here}.adopted (kind, old_id, new_id, business_id, fate)
            values ('call', call.twin_id, call.id, call.business_id, 'ours')
            on conflict (kind, old_id) do update set new_id = excluded.new_id;
            call.row_id := call.twin_id;
            call.present_id := call.twin_id;
        end if;
        if call.row_id is null then
            continue when not call.was_dialed or call.call_status = 'failed' and not call.has_ended;
            insert into {calls} ({names}) values ({values}) returning id into call.row_id;
            continue when call.row_id is null;  -- a trigger of theirs wants none
            insert into {here}.adopted (kind, old_id, new_id, business_id, fate)
            values ('call', call.row_id, call.id, call.business_id, 'bridged')
            on conflict (kind, old_id) do update set new_id = excluded.new_id, fate = excluded.fate;
        elsif call.present_id is not null then  -- else they deleted it
            update {calls} as o
               set {assignments}
             where o.id = call.row_id
               and (coalesce(o.call_sid, '') = '' or call.call_sid is null or o.call_sid = call.call_sid);
        end if;
        {job}
    end loop;
    set constraints all immediate;  -- what their deferred triggers would say at the end, where it would fail us
end
$body$, '{here}', here), '{names}', names), '{values}', vals);
    body := replace(body, '{assignments}', bridge_assignments(old_schema, 'call_log', array[
        [format('%s.bridge_status({old}::text, call.word)', here), 'status', ''],
        ['call.call_status', 'call_status', ''],
        ['coalesce(nullif({old}, ''''), call.call_sid)', 'call_sid', ''],
        ['coalesce(call.duration_s, {old})', 'duration', 'duration_s'],
        ['coalesce(nullif({old}, ''''), call.customer_name)', 'customer_name', ''],
        ['call.error_code', 'error_code', ''],
        ['call.error_message', 'error_message', ''],
        ['now()', 'updated_at', '']]));
    -- A job is never 'queued' again, and 'calling' only with a call_sid: no old worker takes it then.
    body := replace(body, '{job}', case when has_jobs then format($job$
        if call.job_id is not null and (call.has_ended or call.call_sid is not null) then
            update %s as o
               set %s
             where o.id = call.job_id and o.status is distinct from 'completed';
        end if;
    $job$, jobs, bridge_assignments(old_schema, 'outbound_call_jobs', array[
        ['case when not call.has_ended then ''calling'' when call.word = ''completed'' then ''completed'' else ''failed'''
         ' end', 'status', ''],
        ['call.call_sid', 'call_sid', ''],
        ['call.call_sid', 'twilio_call_sid', ''],
        ['call.row_id', 'call_log_id', ''],
        ['call.error_message', 'error_message', ''],
        ['call.dialed_at', 'started_at', ''],
        ['case when call.has_ended then coalesce(call.ended_at, now()) end', 'completed_at', '']])) else '' end);
    body := replace(body, '{forget_row}', case when has_jobs then format(
        'update %s as o set call_log_id = call.twin_id where o.id = call.job_id and o.call_log_id = call.row_id;',
        jobs) else '' end);
    execute head || quote_literal(replace(body, '{calls}', calls));
end
$make$;
