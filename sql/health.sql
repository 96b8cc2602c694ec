-- health.sql: can calls be made right now.  Read by outbound/health.py alone.

-- name: living_worker_threads(worker_silent_s)$
-- How many threads the living workers dial with.
--
-- Returns  one number, 0 where no worker is alive
select coalesce(sum(threads), 0)::int
  from worker
 where seen_at > now() - make_interval(secs => :worker_silent_s);

-- name: dialing_stopped()$
-- Returns  why nothing may be dialed from this database until an operator says so; NULL where calls may be dialed
select reason from dialing_stop where cause = 'recovery';
