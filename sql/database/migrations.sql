-- migrations.sql: how far the database has been migrated, and what its schema is made of.  Read by outbound/database/migrations.py alone.

-- name: applied_migrations()
-- Returns  the id of each migration that is applied; fails where yoyo has never run
select migration_id from _yoyo_migration;

-- name: take_migration_lock()$
-- One `outbound migrate` at a time and schema, for as long as this connection lives.
--
-- Returns  true where we have the lock now; false where another one has it
select pg_try_advisory_lock(hashtext('outbound.migrate'), hashtext(coalesce(current_schema(), '')));

-- name: give_migration_lock_back()$
select pg_advisory_unlock(hashtext('outbound.migrate'), hashtext(coalesce(current_schema(), '')));

-- name: migration_lock_holder()^
-- Returns  the server process that holds the lock and what is known of it, in words; nothing where nobody does
select pg_locks.pid,
       format('process %s (application %s, user %s, from %s, %s, connected since %s)',
              pg_locks.pid,
              coalesce(nullif(application_name, ''), 'unnamed'),
              coalesce(usename::text, 'unknown'),
              coalesce(nullif(client_hostname, ''), host(client_addr), 'this host'),
              coalesce(state, 'state unknown'),
              coalesce(to_char(backend_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'), 'unknown')) as holder
  from pg_locks
  left join pg_stat_activity on pg_stat_activity.pid = pg_locks.pid
 where locktype = 'advisory'
   and database = (select oid from pg_database where datname = current_database())
   and classid::int = hashtext('outbound.migrate')
   and objid::int = hashtext(coalesce(current_schema(), ''))
   and objsubid = 2
   and granted
 limit 1;

-- name: may_create()$
-- Returns  whether this role may make tables in the schema; nothing where there is none
select has_schema_privilege(oid, 'create') from pg_namespace where nspname = current_schema();

-- name: has_yoyo_lock()$
-- Returns  true where yoyo's lock table exists: not before its first run
select to_regclass('yoyo_lock') is not null;

-- name: break_own_yoyo_lock(own_pid)!
-- Remove the lock of an `outbound migrate` that was killed: we hold the advisory lock, so it is nobody's.
--
-- Races    a `yoyo apply` by hand writes another pid, and keeps its lock
delete from yoyo_lock where pid = :own_pid;

-- name: lose_rows()$
-- Let this session's rollbacks drop tables and columns that hold something; without it they refuse.
select set_config('outbound.lose_rows', 'on', false);

-- name: parts()
-- All that the current schema is made of, from the catalog alone.  A partition or an extension's object is no part.
--
-- Returns  `kind`; `owner`, the table it belongs to or its own name; `name`; `says`, its definition without the name of
--          the schema, so that two schemas can be compared
with here as (
    select oid, nspname, quote_ident(nspname) || '.' as prefix from pg_namespace where nspname = current_schema()
), relation as (
    select pg_class.oid, relname::text, relkind, coalesce(array_to_string(reloptions, ', '), '') as options
      from pg_class
     inner join here on here.oid = relnamespace
     where relkind in ('r', 'p', 'v', 'm')
       and relname not like '%yoyo%'
       and relname not like 'old\_%'  -- adopt's: they read the tables of another system
), part as (
    select 'table' as kind, relname as owner, relname as name, options as says from relation where relkind in ('r', 'p')
    union all
    select 'view', relname, relname, pg_get_viewdef(oid) from relation where relkind in ('v', 'm')
    union all
    select 'column', relname, attname::text,
           format_type(atttypid, atttypmod)
           || case when attnotnull then ' not null' else '' end
           || case when attidentity <> '' then ' identity' else '' end
           || coalesce(' default ' || pg_get_expr(adbin, adrelid), '')
      from pg_attribute
     inner join relation on relation.oid = attrelid
      left join pg_attrdef on adrelid = attrelid and adnum = attnum
     where attnum > 0 and not attisdropped and relkind in ('r', 'p')
    union all
    select 'constraint', relname, conname::text, pg_get_constraintdef(pg_constraint.oid)
      from pg_constraint
     inner join relation on relation.oid = conrelid
     where contype in ('c', 'f', 'p', 'u', 'x')  -- not-null is the column's
    union all
    select 'index', relation.relname, indexed.relname::text, pg_get_indexdef(indexrelid)
      from pg_index
     inner join relation on relation.oid = indrelid
     inner join pg_class as indexed on indexed.oid = indexrelid
    union all
    select 'trigger', relname, tgname::text, pg_get_triggerdef(pg_trigger.oid)
      from pg_trigger
     inner join relation on relation.oid = tgrelid
     where not tgisinternal and tgname not like 'old\_%'
    union all
    select 'function', proname || '(' || pg_get_function_identity_arguments(pg_proc.oid) || ')',
           proname || '(' || pg_get_function_identity_arguments(pg_proc.oid) || ')',
           -- Its own name alone stands behind the schema's; in its body the same word may be an alias.
           replace(pg_get_functiondef(pg_proc.oid), 'FUNCTION ' || prefix, 'FUNCTION ')
      from pg_proc
     inner join here on here.oid = pronamespace
     where prokind in ('f', 'p')
       and proname not like 'old\_%'
       and not exists (select from pg_depend where objid = pg_proc.oid and deptype = 'e')
)
select kind, owner, name,
       -- The server writes what is on the path without its schema, except for the table of an index or a trigger.  An alias
       -- of a view may be the same word.
       replace(case when kind in ('index', 'trigger') then replace(says, ' ON ' || prefix, ' ON ') else says end,
               'SET search_path TO ' || quote_literal(nspname), 'SET search_path TO here') as says
  from part cross join here;
