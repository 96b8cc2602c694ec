-- Functions that triggers, constraints, indexes and defaults call find what they name in whatever session they run: one
-- of psql with another search_path, pg_restore's, autovacuum's or a subscription's.
-- depends: 0019_dialing_stop

-- Each of them gets this schema for a search_path of its own, but those with an SQL-standard body: their names were
-- bound when they were made, and a search_path would keep them from being inlined.  What such a body calls is reached
-- through it; what any other body calls runs with that body's search_path.  A later migration that makes or replaces
-- such a function runs this block again.
do $$
declare
    target regprocedure;
begin
    for target in
        with recursive reached as (
            select pg_proc.oid, pg_proc.prosqlbody is not null as is_bound
              from pg_depend
             inner join pg_proc on pg_proc.oid = pg_depend.refobjid
             where pg_depend.refclassid = 'pg_proc'::regclass
               and pg_depend.classid in ('pg_trigger'::regclass, 'pg_constraint'::regclass, 'pg_class'::regclass,
                                         'pg_attrdef'::regclass, 'pg_type'::regclass)
               and pg_proc.pronamespace = current_schema()::regnamespace
            union
            select pg_proc.oid, pg_proc.prosqlbody is not null
              from reached
             inner join pg_depend
                on pg_depend.classid = 'pg_proc'::regclass
               and pg_depend.objid = reached.oid
               and pg_depend.refclassid = 'pg_proc'::regclass
             inner join pg_proc on pg_proc.oid = pg_depend.refobjid
             where reached.is_bound
               and pg_proc.pronamespace = current_schema()::regnamespace
        )
        select oid::regprocedure from reached where not is_bound order by 1
    loop
        execute format('alter function %s set search_path = %I, pg_temp', target, current_schema());
    end loop;
end
$$;
