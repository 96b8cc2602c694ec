-- Only functions: nothing is lost.
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
        execute format('alter function %s reset search_path', target);
    end loop;
end
$path$;
