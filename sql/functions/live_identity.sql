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
