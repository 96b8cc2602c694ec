-- db.sql: what is set on a connection before its first statement, and what it shows of the server behind it.
-- Read by outbound/db.py alone.

-- name: pin_session(backend_pid, schema, search_path, time_limit, lock_limit, carrier, call_limit_s, os_user, by)^
-- Set what our statements and psycopg rely on, whatever ALTER ROLE, ALTER DATABASE, postgresql.conf or the environment
-- say otherwise.  A startup option would not do: poolers refuse those or drop them in silence.
--
-- Left alone: default_transaction_read_only, with which an operator stops all writes.
--
-- The schema is OUTBOUND_SCHEMA's, whether it is there or not: nothing of ours may happen in another one.  Where that is
-- not set it is the address's, else the one in which our tables are, else the first of the session's own path, else
-- public.
--
-- Moves    nothing where another server process answers than backend_pid says (null: whichever): a pooler stands
--          between, and the session may be shared
-- Returns  `backend_pid`, the server process that answered; `homes`, the schemas that hold our tables where the session
--          sees none of them and there are several; `schema_is_there` and `schema_is_usable`, of OUTBOUND_SCHEMA's;
--          `elsewhere`, the other schemas that hold our tables
with home as (
    select namespace.nspname as name,
           array_position(current_schemas(false), namespace.nspname) as place
      from pg_catalog.pg_class as mark
     inner join pg_catalog.pg_class as call_log
        on call_log.relnamespace = mark.relnamespace
       and call_log.relname = 'call_log'
       and call_log.relkind in ('r', 'p')
     inner join pg_catalog.pg_namespace as namespace on namespace.oid = mark.relnamespace
     where mark.relname = '_yoyo_migration'
       and mark.relkind = 'r'
       -- The columns as 0001_business_call_log_leads makes them: a call_log of somebody else is no home of ours.
       and (select count(*)
              from pg_catalog.pg_attribute
             where attrelid = call_log.oid
               and not attisdropped
               and (attname, format_type(atttypid, atttypmod), attidentity::text) in (
                   ('id', 'bigint', 'd'), ('business_id', 'bigint', ''), ('call_sid', 'text', ''),
                   ('direction', 'text', ''), ('from_number', 'text', ''), ('to_number', 'text', ''),
                   ('status', 'text', ''), ('created_at', 'timestamp with time zone', ''),
                   ('updated_at', 'timestamp with time zone', ''))) = 9
       and has_schema_privilege(namespace.oid, 'usage')
), chosen as (
    select coalesce(
               (select name from home where place is not null order by place limit 1),
               (select min(name) from home having count(*) = 1),
               current_schema(),
               (select nspname from pg_catalog.pg_namespace where nspname = 'public')
           ) as name
), wanted (name, value) as (
    values
    ('client_encoding', 'UTF8'),
    ('DateStyle', 'ISO, MDY'),
    ('IntervalStyle', 'postgres'),
    ('TimeZone', 'UTC'),
    ('timezone_abbreviations', 'Default'),
    ('standard_conforming_strings', 'on'),
    ('transform_null_equals', 'off'),
    ('array_nulls', 'on'),
    ('bytea_output', 'hex'),
    ('extra_float_digits', '1'),
    ('quote_all_identifiers', 'off'),
    ('default_transaction_isolation', 'read committed'),
    ('session_replication_role', 'origin'),  -- else no trigger fires and no reference is checked
    ('row_security', 'off'),  -- a row that a policy would hide is an error: a number on a list must not vanish
    ('exit_on_error', 'off'),
    ('lock_timeout', :lock_limit::text),  -- statement_timeout bounds the wait for a lock too
    ('idle_session_timeout', '0'),
    -- A host that lost its power says no goodbye: its session, and the locks of it, end within half a minute.
    ('tcp_keepalives_idle', '10'),
    ('tcp_keepalives_interval', '5'),
    ('tcp_keepalives_count', '3'),
    ('transaction_timeout', '0'),
    ('statement_timeout', :time_limit::text),
    ('idle_in_transaction_session_timeout', :time_limit::text),
    -- One plan per connection, whatever the parameters: what the tests explain is what runs, and large statements take
    -- longer to plan than to run.
    ('jit', 'off'),
    ('plan_cache_mode', 'force_generic_plan'),
    ('enable_seqscan', 'off'),
    ('enable_indexscan', 'on'),
    ('enable_indexonlyscan', 'on'),
    ('enable_bitmapscan', 'on'),
    ('enable_tidscan', 'on'),
    ('enable_nestloop', 'on'),
    ('enable_hashjoin', 'on'),
    ('enable_mergejoin', 'on'),
    ('enable_hashagg', 'on'),
    ('enable_sort', 'on'),
    ('enable_incremental_sort', 'on'),
    ('enable_material', 'on'),
    ('enable_memoize', 'on'),
    -- What the audit says of who is at work; set where it is unknown too, as a pooler may lend another's session.
    ('outbound.os_user', :os_user::text),
    ('outbound.by', :by::text),
    -- A commit that a crash of the server takes back is a phone that rings twice.
    ('synchronous_commit',
     case current_setting('synchronous_commit') when 'off' then 'local' else current_setting('synchronous_commit') end),
    -- Where calls may go and how long they may last depends on them (destination_fault, call_limit_s).
    ('outbound.carrier', :carrier::text),
    ('outbound.time_limit_s', :call_limit_s::text),
    ('search_path', coalesce(quote_ident(:schema::text) || ', pg_temp', :search_path::text,
                             (select quote_ident(name) || ', pg_temp' from chosen)))
), pinned as (
    select set_config(name, value, false) as value
      from wanted
     where value is not null
       and coalesce(pg_backend_pid() = :backend_pid::integer, true)
       -- A name that this server does not know has no value, and stays so; ours get theirs.
       and case
               when name like 'outbound.%' then current_setting(name, true) is distinct from value
               else current_setting(name, true) <> value
           end
)
select pg_backend_pid() as backend_pid,
       (select count(*) from pinned) as changed,
       (select array_agg(name::text order by name)
          from home
         where :search_path::text is null and :schema::text is null
        having count(*) > 1 and count(place) = 0) as homes,
       exists (select from pg_catalog.pg_namespace where nspname = :schema::text) as schema_is_there,
       exists (select from pg_catalog.pg_namespace where nspname = :schema::text and has_schema_privilege(oid, 'usage'))
           as schema_is_usable,
       (select array_agg(name::text order by name) from home where name <> :schema::text) as elsewhere;

-- name: search_path()$
-- Returns  the session's search_path, as it was set
select current_setting('search_path');

-- name: current_schema()$
-- Returns  the schema in which our tables are, or would be made; nothing where there is none: a path that ends in pg_temp
--          then leads there
select current_schema()::text where current_schema() not like 'pg\_temp\_%';

-- name: set_session(settings)$
-- Set what the address asks for beyond that.
--
-- Returns  how many settings that were
select count(set_config(key, value, false)) from jsonb_each_text(:settings);

-- name: allow_minutes(minutes)!
-- Let each statement take so many minutes, for the rest of this transaction.
select set_config('statement_timeout', :minutes::integer || 'min', true) as timeout;

-- name: speak_for(who)!
-- What the audit says of who changes rows, until this transaction ends.
select set_config('outbound.by', :who, true);

-- name: wait_at_most(ms)!
-- How long a lock is waited for, until this transaction ends.
select set_config('lock_timeout', :ms::text, true);
