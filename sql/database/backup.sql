-- backup.sql: what a restore would write over, and the stop that it leaves behind.  Read by outbound/database/backup.py alone.

-- name: what_is_there()^
-- Returns  how many rows of each kind this database holds that a restore would take away, and how many workers live
select (select count(*) from business)::int as businesses,
       (select count(*) from call_log)::int as calls,
       (select count(*) from suppression)::int as suppressions,
       (select count(*) from forgotten)::int as forgotten,
       (select count(*) from worker where seen_at > now() - interval '10 s')::int as workers;

-- name: tables_of_others(ours)
-- Returns  the tables of the current schema that have none of these names, and belong to no extension
select relname::text as name
  from pg_class
 inner join pg_namespace on pg_namespace.oid = relnamespace
 where nspname = current_schema()
   and relkind in ('r', 'p', 'f', 'm')
   and relname <> all(:ours::text[])
   and not exists (select from pg_depend
                    where classid = 'pg_class'::regclass and objid = pg_class.oid and deptype = 'e')
 order by 1;

-- name: drops()
-- Returns  a statement for each thing in the current schema that takes it away; it runs none of them
with here as (
    select oid, nspname from pg_namespace where nspname = current_schema()
), thing as (
    select 1 as place, 'pg_class'::regclass as class, pg_class.oid,
           format('drop %s if exists %I.%I cascade;',
                  case relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
                               when 'f' then 'foreign table' when 'c' then 'type' else 'table' end,
                  nspname, relname) as statement
      from pg_class
     inner join here on here.oid = relnamespace
     where relkind in ('r', 'p', 'v', 'm', 'S', 'f', 'c')
    union all
    select 2, 'pg_proc'::regclass, pg_proc.oid,
           format('drop routine if exists %I.%I(%s) cascade;', nspname, proname,
                  pg_get_function_identity_arguments(pg_proc.oid))
      from pg_proc
     inner join here on here.oid = pronamespace
    union all
    select 3, 'pg_type'::regclass, pg_type.oid, format('drop type if exists %I.%I cascade;', nspname, typname)
      from pg_type
     inner join here on here.oid = typnamespace
     where typtype in ('e', 'd')
)
select statement
  from thing
 where not exists (select from pg_depend where classid = class and objid = thing.oid and deptype in ('e', 'i', 'a'))
 order by place, statement;

-- name: stop_after_restore()!
-- What was dialed since the dump was made is not in it: nobody is dialed before the carrier was asked.
--
-- Moves    (nothing) -> a row in dialing_stop
-- Undo     `outbound recover`
insert into dialing_stop (cause, reason)
values ('recovery', 'This database was restored from a dump, and calls may be missing. Run `outbound recover`.')
on conflict (cause) do update set since = excluded.since, reason = excluded.reason;

-- name: note_restore(who, details)!
insert into audit (who, action, scope, key, details) values (:who, 'restore', 'account', '', :details);
