do $$
declare
    target regprocedure;
begin
    for target in
        select oid::regprocedure
          from pg_proc
         where pronamespace = current_schema()::regnamespace
           and exists (select from unnest(proconfig) as setting where setting like 'search\_path=%')
         order by 1
    loop
        execute format('alter function %s reset search_path', target);
    end loop;
end
$$;
