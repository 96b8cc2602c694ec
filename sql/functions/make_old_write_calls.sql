-- Make `old_write_calls`, which writes our calls to the old call_log, and to the jobs from which they were adopted.
create or replace function make_old_write_calls(old_schema text) returns void
language plpgsql as $make$
declare
    here text := quote_ident(current_schema());
    calls text := format('%I.call_log', old_schema);
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
    select string_agg(name, ', '), string_agg(value, ', ') into names, vals from old_call_columns(old_schema);
    body := replace(replace(replace(replace($body$
declare
    call record;
begin
    perform set_config('lock_timeout', wait, true);
    lock table {calls} in row exclusive mode nowait;
    for call in
        {rows}
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
$body$, '{rows}', old_calls_to_write()), '{here}', here), '{names}', names), '{values}', vals);
    body := replace(body, '{assignments}', bridge_assignments(old_schema, 'call_log', array[
        [format('%s.bridge_status({old}::text, call.word)', here), 'status', ''],
        ['call.call_status', 'call_status', ''],
        ['coalesce(nullif({old}, ''''), call.call_sid)', 'call_sid', ''],
        ['coalesce(call.duration_s, {old})', 'duration', 'duration_s'],
        ['coalesce(nullif({old}, ''''), call.customer_name)', 'customer_name', ''],
        ['call.error_code', 'error_code', ''],
        ['call.error_message', 'error_message', ''],
        ['now()', 'updated_at', '']]));
    body := replace(body, '{job}', case when has_jobs then old_job_update(old_schema) else '' end);
    body := replace(body, '{forget_row}', case when has_jobs then format(
        'update %s as o set call_log_id = call.twin_id where o.id = call.job_id and o.call_log_id = call.row_id;',
        jobs) else '' end);
    execute head || quote_literal(replace(body, '{calls}', calls));
end
$make$;
