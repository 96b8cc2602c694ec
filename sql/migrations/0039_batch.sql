-- An import that cannot ring twice: a file of calls is a batch, which has a name, and reaches each telephone once.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction, prefer-robust-stmts, constraint-missing-not-valid
-- transactional: false
-- depends: 0037_audit_of_destinations

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
         where not indisvalid and nspname = current_schema() and relname = 'call_log_batch_once'
    loop
        execute 'drop index ' || leftover;
    end loop;
end
$$;

-- A list of calls, by its name in its campaign, or else in its business.
create table if not exists batch (
    id          bigint generated always as identity primary key,
    business_id bigint not null references business (id) on delete cascade,
    campaign_id bigint null references campaign (id) on delete cascade,
    name        text not null check (char_length(name) between 1 and 200),
    contents    text[] not null default '{}',  -- SHA-256 of the files that were imported into it, the newest last
    created_at  timestamptz not null default now(),
    imported_at timestamptz not null default now()  -- the last time
);
create unique index if not exists batch_once on batch (business_id, coalesce(campaign_id, 0), name);
create index if not exists batch_age on batch (imported_at);

-- Whom a batch has reached by calls that are deleted by now: a keyed hash of each number.
create table if not exists batch_reached (
    batch_id bigint not null references batch (id) on delete cascade,
    hash     bytea not null,  -- person_hash of the number
    primary key (batch_id, hash)
);

do $$
declare
    before_it text := current_setting('lock_timeout');
begin
    -- Asked for again and again: behind a lock that is waited for, everybody waits.
    for attempt in 1..100 loop
        begin
            perform set_config('lock_timeout', '500ms', true);
            lock table business, call_log in access exclusive mode;
            exit;
        exception
            when lock_not_available or deadlock_detected then
                if attempt = 100 then
                    raise;
                end if;
                perform pg_sleep(0.1);
        end;
    end loop;
    perform set_config('lock_timeout', before_it, true);

    -- An import holds out who was called by this business in so many hours before.  A week at most: calls of the last
    -- 8 days are never deleted for their age.
    alter table business add column if not exists look_back_hours integer not null default 24
        constraint business_look_back check (look_back_hours between 0 and 168);
    -- No foreign key, which would cost an import of a million rows a million look-ups: a batch goes after its calls.
    alter table call_log add column if not exists batch_id bigint null;
end
$$;

-- A batch reaches a telephone once; further attempts are of the same reach.
create unique index concurrently if not exists call_log_batch_once
    on call_log (batch_id, phone_key(to_number))
 where batch_id is not null and retry_of is null;

-- A call that is deleted leaves the hash of its number to its batch.  Who asked to be forgotten is on a list of their own.
create or replace function call_log_keeps_reached() returns trigger
language plpgsql as $$
begin
    insert into batch_reached (batch_id, hash)
    select distinct batch.id, person_hash(gone.to_number)
      from gone
     inner join batch on batch.id = gone.batch_id
     where not is_forgotten(gone.to_number)
        on conflict do nothing;
    return null;
end
$$;

do $$
declare
    before_it text := current_setting('lock_timeout');
begin
    execute format('alter function call_log_keeps_reached() set search_path = %I, pg_temp', current_schema());
    for attempt in 1..100 loop
        begin
            perform set_config('lock_timeout', '500ms', true);
            lock table call_log in share row exclusive mode;
            exit;
        exception
            when lock_not_available or deadlock_detected then
                if attempt = 100 then
                    raise;
                end if;
                perform pg_sleep(0.1);
        end;
    end loop;
    perform set_config('lock_timeout', before_it, true);
    create or replace trigger call_log_reached after delete on call_log referencing old table as gone
    for each statement execute function call_log_keeps_reached();
    perform audit_changes_of('batch');
end
$$;
