do $$
declare
    target text;
begin
    for target in
        select case
                   when attname is not null then format('column %I.%I', relname, attname)
                   when relname is not null then format(case relkind when 'v' then 'view %I' else 'table %I' end, relname)
                   else 'function ' || pg_proc.oid::regprocedure
               end
          from pg_description
          left join pg_class on classoid = 'pg_class'::regclass and pg_class.oid = objoid
          left join pg_attribute on attrelid = pg_class.oid and attnum = objsubid and objsubid > 0
          left join pg_proc on classoid = 'pg_proc'::regclass and pg_proc.oid = objoid
         where coalesce(relnamespace, pronamespace) = current_schema()::regnamespace
           and coalesce(relkind in ('r', 'v'), true)
    loop
        execute format('comment on %s is null', target);
    end loop;
end
$$;
