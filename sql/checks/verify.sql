-- verify.sql: what `outbound verify` looks at, and the rows of its own schema.  Read by outbound/checks/verify.py alone.

-- name: column_of_call_log(name)^
-- Returns  the column as the catalog has it: `type`, `length` (NULL: none), `nullable`; nothing where there is none
select data_type::text as type, character_maximum_length::int as length, is_nullable = 'YES' as nullable
  from information_schema.columns
 where table_schema = current_schema() and table_name = 'call_log' and column_name = :name;

-- name: schemas_left_behind(pattern)
-- Returns  the schemas of runs that may have been killed
select nspname::text as name from pg_namespace where nspname ~ :pattern;

-- name: hold(name)$
-- Mark a schema as a living run's, for as long as this connection lives.
--
-- Returns  false where somebody else holds it
select pg_try_advisory_lock(hashtext(:name));

-- name: let_go(name)$
-- Release the lock that `hold` took.
select pg_advisory_unlock(hashtext(:name));

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
