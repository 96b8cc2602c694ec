-- A row that a constraint keeps from being closed or held is found by claim_fault: it changed too few columns, and the
-- claim raised for ever.
-- depends: 0065_room_of_scopes

-- What a claim raises at this call alone; no row where it raises nothing.  It sets the columns that claim_due_calls sets
-- (dispatch.sql), and undoes it: a column that it left out could stop every claim.
create or replace function claim_fault(call_id bigint, claim_s float8, ring_s float8)
returns table (state text, message text)
language plpgsql as $$
declare
    call call_log;
    windows bigint[];
    zones text[];
    opening timestamptz;
    obstacle record;
begin
    select * into call
      from call_log
     where id = $1 and status = 'queued' and paused_at is null
       for update skip locked;
    if not found then
        return;
    end if;
    windows := call_windows(call.business_id, call.campaign_id);
    if windows <> '{}' then
        zones := callee_zones(call.to_number, call.time_zone);
        opening := next_opening(windows, zones, now(), claim_s + ring_s);
    end if;
    select * into obstacle from call_obstacle(call, windows, coalesce(zones, '{}'), opening);
    update call_log
       set status = case when obstacle.is_final then 'canceled' when obstacle.code is null then 'claimed' else status end,
           fence = fence + case when obstacle.code is null then 1 else 0 end,
           overdue_at = case when obstacle.code is null then now() + make_interval(secs => claim_s) end,
           dial_by = case when obstacle.code is null then now() end,
           due_at = case when obstacle.code is null or obstacle.is_final then due_at else obstacle.until end,
           held_by = case when not obstacle.is_final then obstacle.code end,
           error_code = case when obstacle.is_final then obstacle.code else error_code end,
           error_message = case
               when obstacle.is_final then refusal_sentence(obstacle.code, call_log) else error_message
           end,
           ended_at = case when obstacle.is_final then now() end
     where id = $1;
    raise sqlstate 'OB001';
exception
    when sqlstate 'OB001' then
        return;
    when others then
        if not is_of_a_row(sqlstate) then
            raise;
        end if;
        state := sqlstate;
        message := sqlerrm;
        return next;
end
$$;
