-- What ended when: so that the oldest calls are found, and let go, without a look at the others.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction
-- transactional: false
-- depends: 0014_latency_buckets

-- What a build that was killed left behind is in nobody's use, and in the way of the next.
do $$
declare
    leftover text;
begin
    for leftover in
        select format('%I.%I', nspname, relname)
          from pg_index
         inner join pg_class on pg_class.oid = indexrelid
         inner join pg_namespace on pg_namespace.oid = relnamespace
         where not indisvalid
           and nspname = current_schema()
           and relname in (
                   'call_log_ended')
    loop
        execute 'drop index ' || leftover;
    end loop;
end
$$;

create index concurrently if not exists call_log_ended on call_log (ended_at) where ended_at is not null;
