-- verify_scratch.sql: the rows that `outbound verify` makes and reads in its scratch schema.
-- Read by outbound/checks/verify_scratch.py alone.

-- name: empty_tables()!
-- Only in a run's own schema: no rollback drops these tables while they have rows.
truncate business, call_log, leads cascade;

-- name: put_dialed_call(business_id, to_number, call_sid, overdue_s)$
-- A call whose dial has begun, and whose deadline passed overdue_s ago.
--
-- Moves    (nothing) -> initiated
-- Returns  its id
insert into call_log (business_id, from_number, to_number, call_sid, status, dialed_at, overdue_at)
values (:business_id, '+15005550006', :to_number, :call_sid, 'initiated',
        now() - interval '60 s' - make_interval(secs => :overdue_s), now() - make_interval(secs => :overdue_s))
returning id;

-- name: end_of(call_id)^
-- Returns  how a call stands, and whether nothing is left to do about it
select status, error_code, error_message, updated_at > created_at as was_touched,
       call_status_rank(status) = 5 and (call_sid is null or lead_id is not null) as is_settled
  from call_log
 where id = :call_id;

-- name: lead_of(call_sid)^
-- Returns  the lead that a call has, and whose it is; nothing where there is none
select leads.business_id, leads.phone
  from call_log
 inner join leads on leads.id = lead_id
 where call_sid = :call_sid;
