-- One lead per business and phone.  The old system made several: all are kept, and point to the oldest.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction
-- transactional: false
-- depends: 0003_business_voice_and_numbers

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
                   'leads_one_per_phone')
    loop
        execute 'drop index ' || leftover;
    end loop;
end
$$;

do $$
begin
    -- Asked for again and again: behind a lock that is waited for, everybody waits.
    for attempt in 1..100 loop
        begin
            perform set_config('lock_timeout', '500ms', true);
            lock table leads in access exclusive mode;
            exit;
        exception
            when lock_not_available or deadlock_detected then
                if attempt = 100 then
                    raise;
                end if;
                perform pg_sleep(0.1);
        end;
    end loop;

    alter table leads add column if not exists duplicate_of bigint null;

    if not exists (
        select from pg_constraint where conrelid = 'leads'::regclass and conname = 'leads_duplicate_of_fkey'
    ) then
        alter table leads
            add constraint leads_duplicate_of_fkey foreign key (duplicate_of) references leads (id) not valid;
    end if;
end
$$;

do $$
declare
    twin record;
    done integer := 0;
begin
    for twin in
        select *
          from (select id, min(id) over (partition by business_id, phone) as oldest
                  from leads
                 where duplicate_of is null) as same
         where id <> oldest
         order by id
    loop
        update leads set duplicate_of = twin.oldest where id = twin.id and duplicate_of is null;
        done := done + 1;
        if done % 1000 = 0 then
            commit;
        end if;
    end loop;
end
$$;

alter table leads validate constraint leads_duplicate_of_fkey;

create unique index concurrently if not exists leads_one_per_phone
    on leads (business_id, phone) where duplicate_of is null;
