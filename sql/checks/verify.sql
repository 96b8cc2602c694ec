-- verify.sql: what `outbound verify` reads of what is live, and the lock that marks its schema.
-- Read by outbound/checks/verify.py alone.

-- name: column_of_call_log(name)^
-- Returns  the column as the catalog has it: `type`, `length` (NULL: none), `nullable`; nothing where there is none
select data_type::text as type, character_maximum_length::int as length, is_nullable = 'YES' as nullable
  from information_schema.columns
 where table_schema = current_schema() and table_name = 'call_log' and column_name = :name;

-- name: schemas_left_behind(pattern)
-- Returns  the schemas of runs that may have been killed
select nspname::text as name from pg_namespace where nspname ~ :pattern;

-- name: lock_schema(name)$
-- Mark a schema as a living run's, for as long as this connection lives.
--
-- Returns  false where somebody else holds it
select pg_try_advisory_lock(hashtext(:name));

-- name: unlock_schema(name)$
-- Release the lock that `lock_schema` took.
select pg_advisory_unlock(hashtext(:name));
