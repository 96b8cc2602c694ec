-- health.sql: the processes that this database has seen lately.  Read by outbound/page/screens/health.py alone.

-- name: workers(worker_silent_s)
-- Returns  each worker process: how many threads it has, how long ago it said that it is alive, and does it count
select left(id::text, 8) as id, threads, extract(epoch from now() - seen_at)::float8 as age_s,
       seen_at > now() - make_interval(secs => :worker_silent_s) as is_alive
  from worker
 order by seen_at desc
 limit 200;

-- name: tasks()
-- Returns  how long ago each task of the scheduler last succeeded, seconds
select name, extract(epoch from now() - last_success_at)::float8 as age_s from duty order by name;

-- name: web()$
-- Returns  how long ago a web process last said that it is alive, seconds; nothing where none ever did
select extract(epoch from now() - seen_at)::float8 from web_presence;

-- name: server()^
-- Returns  the version of PostgreSQL, and the newest migration that is applied
select current_setting('server_version') as postgresql,
       (select max(migration_id) from _yoyo_migration) as migration;
