-- Have a call that waits dialed from another moment on: ISO 8601 with an offset, or `now`.  Whatever held it is asked
-- again then.
--
-- Moves    nothing: queued, due at another time
-- Returns  a JSON object: `due` as sentences have it, `was_due_at`, and is it held (`is_paused`); or the `fault`, and
--          nothing was changed
-- Races    the claim: the first to lock the row has it.  A claim that comes first has moved it to 'claimed', and it is
--          not moved here; one that had looked at it before this committed reads the row again, and leaves it until it
--          is due (claim_due_calls)
-- Undo     the same, with the moment before
create or replace function reschedule_call(call_id bigint, due_at text, reason text default null, by text default null)
returns jsonb
language plpgsql
as $$
declare
    call call_log;
    campaign_ends timestamptz;
    actor text := coalesce(nullif(by, ''), nullif(current_setting('outbound.by', true), ''), session_user);
    at timestamptz := case when due_at = 'now' then now() else read_moment(due_at) end;
begin
    if greatest(length(reason), length(by)) > 200 or has_unseen(concat(reason, by), false) then
        return jsonb_build_object('fault', 'the reason and the name must be one line of 200 characters at most each');
    end if;
    if at is null then
        return jsonb_build_object('fault', '`due_at` is not a moment with an offset: write it like'
                                           ' 2026-11-30T09:00+02:00, or now');
    elsif at < now() - interval '1 minute' then
        return jsonb_build_object('fault', '`due_at` is past: give a moment to come, or now');
    elsif at > now() + interval '3650 days' then
        return jsonb_build_object('fault', '`due_at` lies more than 10 years ahead: give an earlier moment');
    end if;
    select * into call from call_log where id = reschedule_call.call_id for update;
    if call.id is null then
        return jsonb_build_object('fault', 'there is no such call: see `outbound calls`');
    elsif call.direction <> 'outbound' then
        return jsonb_build_object('fault', format('call %s came in: it is not dialed', call.id));
    elsif call.status <> 'queued' then
        return jsonb_build_object('fault', format('call %s does not wait any more: %s', call.id, call.status)
                                           || case
                                                  when call_status_rank(call.status) = 5
                                                      then '; `outbound call retry` makes it again'
                                                  else ''
                                              end);
    end if;
    select ends_at into campaign_ends from campaign where id = call.campaign_id;
    if campaign_ends <= at then
        return jsonb_build_object('fault', format(
            'its campaign ends before, at %s: `outbound campaign set %s --ends ...`',
            moment_text(campaign_ends, call_zone(call.to_number, call.time_zone, call.business_id)), call.campaign_id
        ));
    end if;
    update call_log set due_at = at, held_by = null where id = call.id and status = 'queued';
    insert into audit (who, action, scope, key, details)
    values (actor, 'reschedule', 'call', call.id::text,
            jsonb_build_object('from', call.due_at, 'to', at, 'reason', nullif(reschedule_call.reason, '')));
    perform pg_notify('outbound_due', '');
    return jsonb_build_object('due', moment_text(at, call_zone(call.to_number, call.time_zone, call.business_id)),
                              'was_due_at', call.due_at, 'is_paused', call.paused_at is not null);
end
$$;
