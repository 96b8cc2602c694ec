-- health.sql: can calls be made right now.  Read by outbound/monitoring/health.py alone.

-- name: find_blockers(worker_silent_s, scheduler_silent_s)
-- What keeps every call of this database from being dialed.
--
-- Returns  (code, sentence), what must be mended first first
select code, sentence from dialing_blockers(:worker_silent_s, :scheduler_silent_s) order by place;
