-- call_again.sql: an operator has a call made again, or at another time.  Read by outbound/calls/call_again.py alone.

-- name: lock_ended_call(call_id)^
-- Look at a call that is to be made again, and keep every other word of it waiting until this transaction ends: a late
-- callback that would bring it back to life finds the new call, or is found by it.
--
-- Returns  the call; `is_live`; `is_in_doubt` while the carrier is asked whether it rang; `may_have_rung` where that was
--          given up; `campaign_calls` where its campaign has numbers that call, and `is_borrowed` where the one that
--          called belongs to another business by now
-- Races    callbacks, clean-up, other retries: one at a time has the row
select id, business_id, campaign_id, direction, status, from_number, to_number, contact, time_zone,
       call_status_rank(status) < 5 as is_live,
       call_is_in_doubt(status, error_code) and overdue_at is not null as is_in_doubt,
       call_awaits_truth(status, error_code) as may_have_rung,
       campaign_from_number(campaign_id, to_number, 1) is not null as campaign_calls,
       exists (select from business_number
                where phone = from_number and business_number.business_id <> call_log.business_id) as is_borrowed
  from call_log
 where id = :call_id
   for update;

-- name: reschedule_call(call_id, due_at, who, reason)^
-- Moves    nothing: queued, due at another time
-- Returns  what the function reschedule_call says: how the call was, or a fault
-- Races    the claim: the first to lock the row has it
select reschedule_call(:call_id::bigint, :due_at::text, :reason::text, :who::text)::text as answer;

-- name: clocks_of_call(call_id)^
-- Returns  the `zones` in which its callee may be, and its business's; nothing where there is no such call
select callee_zones(call_log.to_number, call_log.time_zone) as zones, business.time_zone as business_zone,
       to_json(now()) #>> '{}' as now
  from call_log
 inner join business on business.id = call_log.business_id
 where call_log.id = :call_id;

-- name: write_audit(who, key, details)!
insert into audit (who, action, scope, key, details) values (:who, 'retry', 'call', :key, :details);
