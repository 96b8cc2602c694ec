-- Only a function: nothing is lost.
-- What a claim raises at this call alone; no row where it raises nothing.  It does what the claim does with one call
-- (dispatch.sql), and undoes it.
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
           fence = fence + 1,
           overdue_at = now() + make_interval(secs => claim_s),
           due_at = coalesce(obstacle.until, due_at)
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
