-- Does a report of the carrier's move a call forward?  A call that we closed for want of knowledge is moved by a later
-- word, too: to its true end, but to a live status only where no other live call holds the number.
create or replace function report_is_news(call call_log, reported text) returns boolean
language plpgsql stable
as $$
begin
    if call_status_rank(reported) > call_status_rank(call.status) then
        return true;
    end if;
    if not call_awaits_truth(call.status, call.error_code) then
        return false;
    end if;
    return call_status_rank(reported) = 5
        or not exists (select from live_call(call.business_id, call.to_number) as other where other.id <> call.id);
end
$$;
