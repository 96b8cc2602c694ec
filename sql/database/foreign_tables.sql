-- foreign_tables.sql: is there something of somebody else's where our tables are, or would be made?
-- Read by outbound/database/foreign_tables.py alone.

-- name: names_taken(relations, functions)
-- From the catalog alone: it locks nothing and reads no row.
--
-- Returns  each relation, type and function of the current schema that has one of these names: `name`; `is_made`, it is
--          a table with the columns that 0001_business_call_log_leads makes, whatever was added since; `is_bare`, with
--          no others
with made (relation, name, type, identity) as (
    values ('business', 'id', 'bigint', 'd'),
           ('business', 'name', 'text', ''),
           ('business', 'created_at', 'timestamp with time zone', ''),
           ('call_log', 'id', 'bigint', 'd'),
           ('call_log', 'business_id', 'bigint', ''),
           ('call_log', 'call_sid', 'text', ''),
           ('call_log', 'direction', 'text', ''),
           ('call_log', 'from_number', 'text', ''),
           ('call_log', 'to_number', 'text', ''),
           ('call_log', 'status', 'text', ''),
           ('call_log', 'created_at', 'timestamp with time zone', ''),
           ('call_log', 'updated_at', 'timestamp with time zone', ''),
           ('leads', 'id', 'bigint', 'd'),
           ('leads', 'business_id', 'bigint', ''),
           ('leads', 'phone', 'text', ''),
           ('leads', 'created_at', 'timestamp with time zone', ''),
           ('leads', 'updated_at', 'timestamp with time zone', '')
), here as (
    select oid from pg_namespace where nspname = current_schema()
), relation as (
    select relname::text as name, relkind,
           (select count(*)
              from pg_attribute
             where attrelid = pg_class.oid and attnum > 0 and not attisdropped) as columns,
           (select count(*)
              from made
             inner join pg_attribute
                on attrelid = pg_class.oid
               and attname = made.name
               and attnum > 0
               and not attisdropped
               and format_type(atttypid, atttypmod) = made.type
               and attidentity::text = made.identity
             where made.relation = relname) as fitting,
           (select count(*) from made where made.relation = relname) as wanted
      from pg_class
     inner join here on here.oid = relnamespace
     where relname = any(:relations::text[])
)
select name,
       relkind in ('r', 'p') and wanted > 0 and fitting = wanted as is_made,
       relkind = 'r' and wanted > 0 and fitting = wanted and columns = wanted as is_bare
  from relation
union all
select typname::text, false, false
  from pg_type
 inner join here on here.oid = typnamespace
 where typname = any(:relations::text[])
   and typrelid = 0
union all
select distinct proname::text || '()', false, false
  from pg_proc
 inner join here on here.oid = pronamespace
 where proname = any(:functions::text[])
 order by 1;

-- name: has_business()$
select exists (select from business);

-- name: has_call_log()$
select exists (select from call_log);

-- name: has_leads()$
select exists (select from leads);
