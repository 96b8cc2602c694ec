-- Functions that an application calls find our tables whatever its session's search_path is; what cancel_call answers is
-- so under other sessions' changes.
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

-- The functions that applications call, and what a view of theirs calls with names of its own.  What they call runs with
-- their search_path.  None of them can be inlined, so that this takes no plan away.
do $path$
declare
    target regprocedure;
begin
    for target in
        select oid::regprocedure
          from pg_proc
         where pronamespace = current_schema()::regnamespace
           and proname in ('enqueue_call', 'enqueue_calls', 'cancel_call', 'why', 'present_zone')
         order by 1
    loop
        execute format('alter function %s set search_path = %I, pg_temp', target, current_schema());
    end loop;
end
$path$;
