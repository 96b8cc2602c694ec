-- Only a function: nothing is lost.
create or replace function event_of_call() returns trigger
language plpgsql as $$
declare
    told jsonb;
    next_at timestamptz;
    facts jsonb;
begin
    if not exists (select from webhook_endpoint) and not exists (select from event_reader) then
        return null;
    end if;
    facts := jsonb_build_object('call_id', new.id, 'call_sid', new.call_sid, 'campaign_id', new.campaign_id,
                                'direction', new.direction, 'attempt', new.attempt,
                                'first_call_id', coalesce(new.retry_of, new.id));
    if old.lead_id is null and new.lead_id is not null and event_is_wanted(new.business_id, 'lead.created') then
        perform write_event(new.business_id, 'lead.created', 'evt_lead_created_' || new.id, new.id,
                            facts || jsonb_build_object(
                                'lead_id', new.lead_id,
                                'is_new', (select leads.created_at = now() from leads where leads.id = new.lead_id)
                            ));
    end if;
    if new.status is not distinct from old.status then
        return null;
    end if;
    facts := facts || jsonb_build_object('status', new.status, 'answered_by', new.answered_by,
                                         'answered_at', new.answered_at);
    if new.status = 'in-progress' and call_status_rank(old.status) < 5 then
        if event_is_wanted(new.business_id, 'call.answered') then
            perform write_event(new.business_id, 'call.answered', 'evt_call_answered_' || new.id, new.id, facts);
        end if;
        return null;
    end if;
    if new.status not in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
       and call_status_rank(old.status) < 5
    then
        return null;
    end if;
    select data into told from event_log where public_id = 'evt_call_ended_' || new.id;
    if call_status_rank(new.status) = 5 then
        select due_at
          into next_at
          from call_log
         where business_id = new.business_id
           and idempotency_key = 'retry:' || coalesce(new.retry_of, new.id) || ':' || new.attempt + 1;
        facts := facts || jsonb_build_object(
            'ended_at', new.ended_at, 'duration_s', new.duration_s, 'error_code', new.error_code,
            'is_last_attempt', next_at is null, 'next_attempt_at', next_at
        );
        if told is null and event_is_wanted(new.business_id, 'call.ended') then
            perform write_event(new.business_id, 'call.ended', 'evt_call_ended_' || new.id, new.id, facts);
            return null;
        end if;
    end if;
    if event_is_wanted(new.business_id, 'call.corrected')
       and (told is not null or call_status_rank(old.status) = 5
            or exists (select from event_log where call_id = new.id and type = 'call.corrected'))
    then
        told := coalesce(told, jsonb_build_object('status', old.status, 'error_code', old.error_code));
        perform write_event(new.business_id, 'call.corrected', 'evt_call_corrected_' || new.id || '_' || new.status,
                            new.id,
                            facts || jsonb_build_object('was', told -> 'status', 'error_code_was', told -> 'error_code'));
    end if;
    return null;
end
$$;

-- A replaced function has lost its search_path.
do $$
begin
    execute format('alter function event_of_call() set search_path = %I, pg_temp', current_schema());
end
$$;
