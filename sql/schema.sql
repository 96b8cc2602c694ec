-- schema.sql: how far the database has been migrated.  Read by outbound/schema.py alone.

-- name: applied_migrations()
-- Returns  the id of each migration that is applied; fails where yoyo has never run
select migration_id from _yoyo_migration;

-- name: take_migration_lock()$
-- One `outbound migrate` at a time, for as long as this connection lives; waits for the other one.
select pg_advisory_lock(hashtext('outbound.migrate'));

-- name: has_yoyo_lock()$
-- Returns  true where yoyo's lock table exists: not before its first run
select to_regclass('yoyo_lock') is not null;

-- name: break_own_yoyo_lock(own_pid)!
-- Remove the lock of an `outbound migrate` that was killed: we hold the advisory lock, so it is nobody's.
--
-- Races    a `yoyo apply` by hand writes another pid, and keeps its lock
delete from yoyo_lock where pid = :own_pid;
