-- Which database this is, and how many dials were begun from it: what a restore, a failover and a copy change.
-- depends: 0019_dialing_stop

-- One row for each stretch of history without a break; the present one has no end.  Written by the first dispatcher, not
-- here: a migrated database that has never dialed may be copied.  `outbound recover` ends one line and begins the next.
create table if not exists identity (
    line              uuid primary key default gen_random_uuid(),
    system_identifier text null,  -- of the cluster; NULL where this server does not tell
    timeline          integer null,
    database_oid      bigint not null,  -- a copy within the cluster has another one
    since             timestamptz not null default now(),
    ended_at          timestamptz null
);

create unique index if not exists identity_present on identity ((true)) where ended_at is null;

-- Dials that were begun, exactly: begin_dials counts here, in the transaction that says 'initiated' and that is on disk
-- before the carrier is asked.  So a crash forgets no number that is known outside, and a number that is lower here than
-- outside means that dials were forgotten.  Eight rows, so that workers do not wait for each other.
create table if not exists dials_begun (
    slot  integer primary key,
    calls bigint not null
);

-- What this server says of itself now.  A part that it does not tell (no right to, another kind of PostgreSQL) is NULL.
-- The time line is read from the name of the WAL file that is written to: pg_control_checkpoint() shows the old one until
-- the first checkpoint after a promotion.
create or replace function live_identity()
returns table (system_identifier text, timeline integer, database_oid bigint)
language plpgsql stable
as $$
begin
    select oid::bigint into database_oid from pg_database where datname = current_database();
    begin
        select control.system_identifier::text into system_identifier from pg_control_system() as control;
    exception
        when others then system_identifier := null;
    end;
    begin
        timeline := ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer;
    exception
        when others then timeline := null;
    end;
    return next;
end
$$;

-- In what way this is not the database that dialed last, as far as it can tell by itself; NULL where it is, or where none
-- has dialed yet.  A part that was never told is not compared; one that is not told any more is another server's.
create or replace function identity_fault() returns text
language sql stable
as $$
    select case
               when present.system_identifier is distinct from live.system_identifier
                   and present.system_identifier is not null then 'cluster'
               when present.timeline is distinct from live.timeline and present.timeline is not null then 'timeline'
               when present.database_oid is distinct from live.database_oid then 'copy'
           end
      from identity as present
     cross join live_identity() as live
     where present.ended_at is null
$$;
