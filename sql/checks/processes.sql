-- processes.sql: are workers and the scheduler alive.  Read by outbound/checks/processes.py alone.

-- name: consumers(worker_silent_s)^
-- Returns  how many worker processes are alive, and their threads
select count(*)::int as processes, coalesce(sum(threads), 0)::int as threads
  from worker
 where seen_at > now() - make_interval(secs => :worker_silent_s);

-- name: tasks()
-- Returns  how long ago each task of the scheduler last succeeded, seconds
select name, extract(epoch from now() - last_success_at)::float8 as age_s from duty;
