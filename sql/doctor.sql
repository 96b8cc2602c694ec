-- doctor.sql: is everything sound that calls depend on; nothing here moves anything.  Read by outbound/doctor.py alone.

-- name: server()^
-- Returns  what the server says of itself, and whether it may be written to
select current_setting('server_version') as version,
       current_setting('server_version_num')::int as version_num,
       pg_is_in_recovery() as is_standby,
       current_setting('transaction_read_only') = 'on' as is_read_only,
       current_setting('autovacuum') = 'on' and current_setting('track_counts') = 'on' as is_vacuumed;

-- name: backend_pid()$
-- Returns  the server process that answers this very statement
select pg_backend_pid();

-- name: clock()$
-- Returns  the database's clock, in seconds since 1970
select extract(epoch from clock_timestamp())::float8;

-- name: invalid_indexes()
-- Returns  the indexes of our schema that are not used: a concurrent build failed, or is under way
select indexed.relname::text as name, owner.relname::text as owner,
       exists (select from pg_stat_progress_create_index where index_relid = indexrelid) as is_being_built,
       indexed.relname ~ '_cc(new|old)[0-9]*$' as is_leftover
  from pg_index
 inner join pg_class as indexed on indexed.oid = indexrelid
 inner join pg_class as owner on owner.oid = indrelid
 where not (indisvalid and indisready)
   and indexed.relnamespace = current_schema()::regnamespace
 order by 1;

-- name: tables_without_autovacuum()
-- Returns  the tables of our schema for which somebody has turned it off
select relname::text as name
  from pg_class, unnest(reloptions) as option
 where relnamespace = current_schema()::regnamespace
   and option ~* '^autovacuum_enabled=(false|off|no|0|f|n)'
 order by 1;

-- name: held_snapshots(age_s)
-- What keeps old row versions from being cleared away: the cost of every claim grows with them.
--
-- Returns  who holds one for longer than age_s, and for how long; the oldest first
select holder, round(extract(epoch from now() - since))::int as age_s
  from (select 'process ' || pid || coalesce(' (' || nullif(application_name, '') || ', ' || state || ')', '')
               as holder,
               xact_start as since
          from pg_stat_activity
         where (backend_xmin is not null or backend_xid is not null)
           and datname = current_database()
           and backend_type in ('client backend', 'walsender')
           and pid <> pg_backend_pid()
        union all
        select 'prepared transaction ' || gid, prepared from pg_prepared_xacts where database = current_database()
       ) as held
 where since < now() - make_interval(secs => :age_s)
 order by since;

-- name: idle_slots()
-- Returns  replication slots that nobody reads and that hold row versions back
select slot_name::text as name from pg_replication_slots where not active and xmin is not null order by 1;

-- name: consumers(worker_silent_s)^
-- Returns  how many worker processes are alive, and their threads
select count(*)::int as processes, coalesce(sum(threads), 0)::int as threads
  from worker
 where seen_at > now() - make_interval(secs => :worker_silent_s);

-- name: duties()
-- Returns  how long ago each duty of the scheduler last succeeded, seconds
select name, extract(epoch from now() - last_success_at)::float8 as age_s from duty;
