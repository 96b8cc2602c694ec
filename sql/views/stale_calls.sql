-- The calls whose deadline has passed, and the rule that is to act on each.
create or replace view stale_calls as
select id as call_id, business_id, campaign_id, status, call_sid,
       case
           when status = 'claimed' then 'claimed'
           when call_is_in_doubt(status, error_code) then 'silent'
           when call_status_rank(status) = 5 then 'no_lead'
           when call_sid is null then 'no_call_sid'
           else 'silent'
       end as rule,
       overdue_at
  from call_log
 where overdue_at < now();
