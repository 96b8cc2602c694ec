-- database.sql: is the database sound that calls depend on; what is written here is rolled back.
-- Read by outbound/checks/database.py alone.

-- name: server()^
-- Returns  what the server says of itself, and whether it may be written to
select current_setting('server_version') as version,
       current_setting('server_version_num')::int as version_num,
       pg_is_in_recovery() as is_standby,
       current_setting('transaction_read_only') = 'on' as is_read_only,
       current_setting('autovacuum') = 'on' and current_setting('track_counts') = 'on' as is_vacuumed;

-- name: grow_a_file()!
-- One megabyte in a table of its own, and as much in the write-ahead log, as a table of ours grows.
create table outbound_doctor_space as select repeat(md5(n::text), 50) as filler from generate_series(1, 640) as n;

-- name: write_business()$
insert into business (name) values ('outbound doctor') returning id;

-- name: write_call_log(business_id)$
insert into call_log (business_id, direction, status, ended_at)
values (:business_id, 'outbound', 'canceled', now())
returning id;

-- name: change_call_log(call_id)!
update call_log set error_message = 'written by outbound doctor' where id = :call_id;

-- name: write_call_event(call_id)!
insert into call_event (call_id, call_sid, source, status) values (:call_id, 'outbound doctor', 'doctor', 'canceled');

-- name: write_leads(business_id)!
insert into leads (business_id, phone) values (:business_id, 'outbound doctor');

-- name: write_counter()!
insert into counter (name, label, slot, value) values ('outbound doctor', '', 0, 0);

-- name: write_worker()!
insert into worker (id, threads, seen_at) values (gen_random_uuid(), 1, '-infinity');

-- name: write_duty()!
insert into duty (name) values ('outbound doctor');

-- name: write_audit()!
insert into audit (who, action, scope, key) values ('outbound doctor', 'write', 'account', '');

-- name: schema_here()^
-- Returns  the schema in which our tables are, or would be made; `may_create`, whether this `role` may make tables in it;
--          nothing where there is none
select nspname::text as name, has_schema_privilege(oid, 'create') as may_create, current_user::text as role
  from pg_namespace
 where nspname = current_schema();

-- name: roles_kept_out()
-- Returns  each role that was granted something on a table of this schema and may not use the schema itself
select distinct grantee::regrole::text as name
  from pg_class
 cross join lateral aclexplode(relacl) as granted
 inner join pg_namespace on pg_namespace.oid = relnamespace
 where nspname = current_schema()
   and relkind in ('r', 'p', 'v', 'm', 'S')
   and grantee <> 0  -- not PUBLIC, which is no role
   and not has_schema_privilege(grantee, relnamespace, 'usage')
 order by 1;

-- name: missing_privileges(names)
-- Returns  each of these tables that this role may not read, or may not change though every call changes it
select relname::text as name, lower(privilege) as privilege
  from pg_class
 cross join unnest('{SELECT,UPDATE}'::text[]) as privilege
 where relnamespace = quote_ident(current_schema())::regnamespace
   and relname = any(:names::text[])
   and (privilege = 'SELECT' or relname in ('call_log', 'counter', 'duty', 'worker', 'dial_control'))
   and not has_table_privilege(pg_class.oid, privilege)
 order by 1, 2;

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
   and indexed.relnamespace = quote_ident(current_schema())::regnamespace
 order by 1;

-- name: tables_without_autovacuum()
-- Returns  the tables of our schema for which somebody has turned it off
select relname::text as name
  from pg_class, unnest(reloptions) as option
 where relnamespace = quote_ident(current_schema())::regnamespace
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

-- name: sees_snapshots()^
-- Returns  whether this account sees the snapshots of other accounts: PostgreSQL shows them to few
select pg_has_role('pg_read_all_stats', 'usage') as sees_all;

-- name: idle_slots()
-- Returns  replication slots that nobody reads and that hold row versions back
select slot_name::text as name from pg_replication_slots where not active and xmin is not null order by 1;

-- name: unknown_zones()
-- Returns  each name of a time zone that this server does not know, who uses it, and `closes`: queued calls will be closed
--          for it
with used as (
    select time_zone as zone, count(*) || ' queued calls' as users, true as closes
      from call_log
     where status = 'queued' and time_zone is not null
     group by time_zone
    union all
    select time_zone, count(*) || ' businesses', false from business group by time_zone
    union all
    select zone, count(*) || ' prefixes of numbers', false
      from phone_zone
     cross join unnest(zones) as zone
     group by zone
)
select left(zone, 64) as zone, string_agg(users, ', ' order by users) as users, bool_or(closes) as closes
  from used
 where present_zone(zone) is null
 group by zone
 order by bool_or(closes) desc, zone asc;

-- name: set_aside_calls()
-- Returns  per step, how many calls it set aside; one of them, and why
select step, count(*) as calls, max(call_id) as call_id,
       (array_agg(reason order by call_id desc))[1] as reason
  from call_set_aside
 group by step
 order by step;

-- name: destinations(names_max)^
-- Returns  where calls may go: the `home` countries of businesses, what entries have `opened`, special numbers among that
--          by their `special` ranges, names_max of each at most; how many businesses have `no_place` to call, and whether
--          everything together `is_capped`
with home as (
    select distinct business_country(id, default_region) as name
      from business
     where business_country(id, default_region) is not null
     order by 1
     limit :names_max
), entry as (
    select kind = 'ordinary' as is_ordinary,
           place || case when kind = 'ordinary' then '' else ' (' || replace(kind, '_', ' ') || ')' end
           || coalesce(' for business ' || business_id, '') as name,
           row_number() over (partition by kind = 'ordinary' order by business_id nulls first, place) as number
      from destination
     where allowed
)
select (select coalesce(array_agg(name order by name), '{}') from home) as home,
       (select coalesce(array_agg(name order by number), '{}')
          from entry
         where is_ordinary and number <= :names_max) as opened,
       (select coalesce(array_agg(name order by number), '{}')
          from entry
         where not is_ordinary and number <= :names_max) as special,
       (select count(*)
          from business
         where business_country(id, default_region) is null
           and not exists (select
                             from destination
                            where allowed and coalesce(destination.business_id, business.id) = business.id))
       as no_place,
       exists (select
                 from spend_cap
                where scope = 'account' and coalesce(calls_per_hour, calls_per_day, minutes_per_hour, minutes_per_day)
                      is not null) as is_capped;

-- name: unwritten_in_old_tables()^
-- Returns  how much the bridge to the old tables could not write yet, 10000 at most, and the last failure
select count(*) as entries,
       (array_agg(state || case when cause <> '' then ' (' || cause || ')' else '' end
                  order by state = 'skipped', failed_at desc))[1] as failure
  from (select * from bridge_due order by failed_at desc limit 10000) as latest
 where state <> 'adopted';  -- what adopt owes to the old leads has not failed

-- name: what_is_told()^
-- Returns  what this server shows of its identity, and why nothing may be dialed
select live.system_identifier is not null as tells_cluster, live.timeline is not null as tells_timeline,
       (select reason from dialing_stop where cause = 'recovery') as reason
  from live_identity() as live;
