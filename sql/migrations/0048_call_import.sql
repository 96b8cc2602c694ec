-- How each import of a file of calls goes and went; leads and do-not-call entries of one business are found by an index.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction
-- transactional: false
-- depends: 0047_enqueue_functions

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
           and relname in ('leads_of_business', 'suppression_of_business')
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
            lock table business, campaign in share row exclusive mode;
            exit;
        exception
            when lock_not_available or deadlock_detected then
                if attempt = 100 then
                    raise;
                end if;
                perform pg_sleep(0.1);
        end;
    end loop;
    create table if not exists call_import (
        id             bigint generated always as identity primary key,
        business_id    bigint null references business (id) on delete cascade,
        campaign_id    bigint null references campaign (id) on delete cascade,
        batch          text not null check (char_length(batch) between 1 and 200),
        state          text not null default 'running'
                       check (state in ('running', 'finished', 'broken_off', 'refused')),
        received_bytes bigint not null default 0,
        created        bigint not null default 0,
        already_there  bigint not null default 0,
        duplicates     bigint not null default 0,
        rejected       bigint not null default 0,
        called_lately  bigint not null default 0,
        rejected_lines jsonb not null default '[]',
        reason         text null,
        created_by     text not null,
        started_at     timestamptz not null default now(),
        seen_at        timestamptz not null default now(),
        finished_at    timestamptz null
    );
    create index if not exists call_import_of_business on call_import (business_id, id);
    create index if not exists call_import_of_campaign on call_import (campaign_id, id);
    create index if not exists call_import_age on call_import (started_at);
end
$$;

comment on table call_import is
'An import of a file of calls, while it goes and for 90 days. A refused file leaves none, unless the API promised one.';
comment on column call_import.id is 'Number, in the order of beginning.';
comment on column call_import.business_id is 'Whose calls they are; null where the lines name businesses.';
comment on column call_import.campaign_id is 'The campaign; null for none.';
comment on column call_import.batch is 'Name of the set of calls, as it was given.';
comment on column call_import.state is
'running (interrupted after 5 min of silence), finished, broken_off (what came is kept), refused (nothing was queued).';
comment on column call_import.received_bytes is 'Bytes of the file so far.';
comment on column call_import.created is 'Calls that it put in the queue, counted after each 5,000 lines.';
comment on column call_import.already_there is 'Lines whose call was there before.';
comment on column call_import.duplicates is 'Lines that came back to a telephone of the same file.';
comment on column call_import.rejected is 'Lines that were refused.';
comment on column call_import.called_lately is 'Lines held out because their business called the number lately.';
comment on column call_import.rejected_lines is 'The first 1,000 of these: [{"line": 3, "reason": "..."}].';
comment on column call_import.reason is 'Why it was refused or broke off; null for neither.';
comment on column call_import.created_by is 'Who asked for it, as the audit names them.';
comment on column call_import.started_at is 'When it began.';
comment on column call_import.seen_at is 'When its process last wrote here.';
comment on column call_import.finished_at is 'When it ended, in whatever way; null until then.';

create index concurrently if not exists leads_of_business on leads (business_id, updated_at, id);
create index concurrently if not exists suppression_of_business
    on suppression (business_id, id) where business_id is not null;
