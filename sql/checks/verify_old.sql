-- verify_old.sql: what `outbound verify --old` looks at in the tables that were taken over, and beside them.
-- Read by outbound/checks/verify_old.py alone.

-- name: column_of_old_calls(old_schema, name)^
-- Returns  the column of the old call_log as the catalog has it: `type`, `length` (NULL: none), `nullable`
select data_type::text as type, character_maximum_length::int as length, is_nullable = 'YES' as nullable
  from information_schema.columns
 where table_schema = :old_schema and table_name = 'call_log' and column_name = :name;

-- name: stale_old_calls()
-- Returns  the old calls that the old clean-up has to close: without a call_sid, live by their status, older than 60 s
select id
  from old_call
 where call_sid is null
   and status in ('initiated', 'ringing', 'in-progress')
   and created_at < now() - interval '60 s'
 order by id;

-- name: run_old_clean_up()
-- The old program's clean-up, as its owners mended it.  Only where the old schema is the search_path, in a transaction
-- that is rolled back.
--
-- Moves    initiated, ringing, in-progress -> failed
-- Returns  one row per call that it closed
-- Undo     the rollback
update call_log
   set status = 'failed',
       error_code = 'no_call_sid',
       error_message = 'No call_sid within 60 seconds.',
       updated_at = now() at time zone 'UTC'
 where call_sid is null
   and status in ('initiated', 'ringing', 'in-progress')
   and created_at < (now() - interval '60 s') at time zone 'UTC'
returning id;

-- name: copy_old_calls()!
-- A table of this transaction's own, named and shaped like the old call_log, without rows; it hides that one.
create temp table call_log on commit drop as table call_log with no data;

-- name: put_copied_calls()!
-- Three calls in it: 1 without a call_sid for 30 s, 2 likewise for 61 s, 3 with one for ten minutes.
insert into call_log (id, call_sid, to_number, direction, status, created_at)
select id, call_sid, to_number, 'outbound', status, (now() - age) at time zone 'UTC'
  from (values (1, null, '+15005550901', 'initiated', interval '30 s'),
               (2, null, '+15005550902', 'initiated', '61 s'),
               (3, 'CA00000000000000000000000000000003', '+15005550903', 'in-progress', '10 min'))
       as call (id, call_sid, to_number, status, age);

-- name: old_duplicates(to_numbers)
-- The old program's duplicate check, as its owners mended it; where the old schema is the search_path.
--
-- Returns  the calls that keep their number from being called again
select id
  from call_log
 where to_number = any(:to_numbers::text[])
   and direction = 'outbound'
   and status in ('initiated', 'ringing', 'in-progress')
   and (call_sid is not null or created_at > (now() - interval '60 s') at time zone 'UTC')
 order by id;

-- name: count_without_call_sid()$
-- Returns  how many calls of businesses that were taken over are live without a call_sid for 120 s or longer; one that
--          was taken over live counts from then
select count(*)
  from call_log
  left join adopted as taken on taken.kind = 'call' and taken.fate = 'asked' and taken.new_id = call_log.id
 where call_log.status in ('initiated', 'ringing', 'in-progress')
   and call_log.call_sid is null
   and coalesce(greatest(call_log.dialed_at, taken.adopted_at), call_log.created_at) < now() - interval '120 s'
   and exists (select from adopted as own where own.kind = 'business' and own.new_id = call_log.business_id);

-- name: count_without_fate()^
-- Returns  how many old `calls` that were there when their business was taken over have no outcome, how many `jobs` wait
--          without one, and how many outcomes there are
select (select count(*)
          from old_call
         inner join adopted as own
            on own.kind = 'business' and own.fate = 'adopted' and own.old_id = old_call.business_id
         where coalesce(old_call.created_at < own.adopted_at, true)
           and not exists (select from adopted where adopted.kind = 'call' and adopted.old_id = old_call.id)) as calls,
       (select count(*)
          from old_job
         inner join adopted as own
            on own.kind = 'business' and own.fate = 'adopted' and own.old_id = old_job.business_id
         where old_job.status = 'queued'
           and not exists (select from adopted where adopted.kind = 'job' and adopted.old_id = old_job.id)) as jobs,
       (select count(*) from adopted where kind in ('call', 'job')) as fates;

-- name: count_jobs_in_reach()^
-- Returns  how many jobs were `taken` over to be dialed or asked about here, and of how many the old row is still
--          `queued`, so that an old worker takes them too
select count(*) as taken, count(*) filter (where old_job.status = 'queued') as queued
  from adopted
 inner join old_job on old_job.id = adopted.old_id
 inner join adopted as own
    on own.kind = 'business' and own.fate = 'adopted' and own.old_id = old_job.business_id
 where adopted.kind = 'job' and adopted.before is not null;

-- name: count_without_lead()^
-- Returns  how many calls of businesses that were taken over have a lead (`made`), and how many ended and still `wait`
--          for theirs, 120 s after it was due
select count(*) filter (where call_log.lead_id is not null) as made,
       count(*) filter (where call_log.lead_id is null
                              and call_log.call_sid is not null
                              and call_log.overdue_at < now() - interval '120 s'
                              and call_log.status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
                              and not call_is_in_doubt(call_log.status, call_log.error_code)) as waiting
  from call_log
 where exists (select from adopted as own where own.kind = 'business' and own.new_id = call_log.business_id);
