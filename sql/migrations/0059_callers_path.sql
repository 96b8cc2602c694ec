-- Functions that an application calls find our tables whatever its session's search_path is; what cancel_call answers is
-- so under other sessions' changes; why(null) says what to give.
-- depends: 0058_search_looks_once

-- Close a call that waits, or ask the carrier for an end of one that rings, once this transaction commits.
--
-- Moves    queued, claimed -> canceled
-- Returns  a JSON object: how many calls that are, `waiting` and `in_the_air`; or the `fault`, and nothing was
--          changed
-- Races    a worker that begins to dial first wins: the call rings then, and is ended
create or replace function cancel_call(call_id bigint, reason text default null, by text default null) returns jsonb
language plpgsql
as $$
declare
    closed bigint;
    asked bigint := 0;
    was text;
    actor text := coalesce(nullif(by, ''), nullif(current_setting('outbound.by', true), ''), session_user);
begin
    if greatest(length(reason), length(by)) > 200 or has_unseen(concat(reason, by), false) then
        return jsonb_build_object('fault', 'the reason and the name must be one line of 200 characters at most each');
    end if;
    -- Under its lock the call stays what it is until this transaction ends.
    select status into was from call_log where id = cancel_call.call_id and direction = 'outbound' for update;
    if was is null then
        return jsonb_build_object('fault', 'there is no such outbound call: see `outbound calls`');
    end if;
    closed := cancel_waiting_calls(array[cancel_call.call_id], nullif(cancel_call.reason, ''), actor);
    if closed = 0 then
        asked := (was in ('initiated', 'ringing'))::integer;
        if asked = 0 then
            return jsonb_build_object('fault', format(
                case
                    when was = 'in-progress' then 'call %s is in-progress: `outbound stop call %1$s` hangs up'
                    else 'call %s has ended: %s'
                end, cancel_call.call_id, was
            ));
        end if;
        update call_log
           set hang_up = coalesce(hang_up, 'canceled'),
               hang_up_asked_at = null,
               stopped_by = case when hang_up is null then actor else stopped_by end,
               stop_reason = case when hang_up is null then nullif(cancel_call.reason, '') else stop_reason end
         where id = cancel_call.call_id;
    end if;
    insert into audit (who, action, scope, key, details)
    values (actor, 'cancel', 'call', cancel_call.call_id::text,
            jsonb_build_object('reason', nullif(cancel_call.reason, ''), 'waiting', closed, 'in_the_air', asked));
    return jsonb_build_object('waiting', closed, 'in_the_air', asked);
end
$$;

-- Why a call that does not wait is not being dialed (why_not_dialed): nobody knows it, it has ended, or it is on its way.
create or replace function why_by_status(call_id bigint)
returns table (place integer, code text, sentence text, until timestamptz, details jsonb)
language sql stable
as $$
    with call as (
        select call_log.*, call_zone(to_number, time_zone, business_id) as zone from call_log where id = $1
    )
    select 0, 'unknown_call',
           coalesce('There is no call ' || $1 || '.',
                    'That is not the id of a call: `enqueue_call` returned it as `call_id`.'),
           null::timestamptz, '{}'::jsonb
     where not exists (select from call)
    union all
    select 1, 'ended',
           concat_ws(' ', 'It has ended: ' || status || coalesce(', ' || moment_text(ended_at, zone), '') || '.',
                     'Error ' || error_code || ':', error_message),
           null,
           jsonb_build_object('status', status, 'ended_at', ended_at, 'error_code', error_code,
                              'error_message', error_message)
      from call
     where call_status_rank(status) = 5
    union all
    select 2, 'in_the_air',
           case
               when call_sid is null then 'It is being dialed: the answer of the carrier is awaited.'
               else 'It is in the air: ' || status || '.'
           end
           || case when hang_up is not null then ' An operator has asked to hang up.' else '' end,
           null,
           jsonb_build_object('status', status, 'dialed_at', dialed_at, 'hang_up', hang_up)
      from call
     where status in ('initiated', 'ringing', 'in-progress')
    union all
    select 3, 'claimed',
           'A worker was told to dial it; should it not begin, the call is taken back at '
           || moment_text(overdue_at, zone) || '.',
           overdue_at, '{}'
      from call
     where status = 'claimed'
$$;

-- The functions that applications call, and what a view of theirs calls with names of its own.  What they call runs with
-- their search_path.  None of them can be inlined, so that this takes no plan away.
do $path$
declare
    signature text;
begin
    foreach signature in array array[
        'enqueue_call(jsonb)', 'enqueue_calls(jsonb, bigint, bigint)', 'cancel_call(bigint, text, text)', 'why(bigint)',
        'present_zone(text)'
    ] loop
        execute format('alter function %1$I.%2$s set search_path = %1$I, pg_temp', current_schema(), signature);
    end loop;
end
$path$;
