-- Functions that an application calls find our tables whatever its session's search_path is.
-- depends: 0058_search_looks_once

-- The functions that applications call, and what a view of theirs calls with names of its own.  What they call runs with
-- their search_path.  None of them can be inlined, so that this takes no plan away.
do $path$
declare
    target regprocedure;
begin
    for target in
        select oid::regprocedure
          from pg_proc
         where pronamespace = current_schema()::regnamespace
           and proname in ('enqueue_call', 'enqueue_calls', 'cancel_call', 'why', 'present_zone')
         order by 1
    loop
        execute format('alter function %s set search_path = %I, pg_temp', target, current_schema());
    end loop;
end
$path$;
