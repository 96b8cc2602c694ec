-- call_log becomes the queue: when a call is due, when it is overdue, and which moves are legal.
-- Readers and writers go on: rows are moved by the thousand, constraints are checked and indexes built beside them.  It may
-- be killed anywhere, and is gone on with when it is run again.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction, ban-drop-constraint, adding-not-nullable-field
-- transactional: false
-- depends: 0004_leads_one_per_phone

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
                   'call_log_call_sid', 'call_log_idempotency_key', 'call_log_one_live', 'call_log_due',
                   'call_log_overdue', 'call_log_live')
    loop
        execute 'drop index ' || leftover;
    end loop;
end
$$;

-- How far along its life a call is; a status only moves to a higher rank.  NULL for a word we do not know.
create or replace function call_status_rank(status text) returns integer
language sql immutable parallel safe
return case
    when status = 'queued' then 0
    when status = 'claimed' then 1
    when status = 'initiated' then 2
    when status = 'ringing' then 3
    when status = 'in-progress' then 4
    when status in ('completed', 'busy', 'no-answer', 'failed', 'canceled') then 5
end;

-- A call that we closed for want of knowledge: the one final status that a later word of the carrier may change.
create or replace function call_awaits_truth(status text, error_code text) returns boolean
language sql immutable parallel safe
return status = 'failed'
    and coalesce(error_code in ('no_call_sid', 'several_candidates', 'unknown_to_carrier', 'superseded'), false);

-- Such a call whose end the carrier may still tell us when asked: nobody could answer before it was closed, or it was
-- adopted while another live call held its number.  It has a deadline as long as it is worth asking.
create or replace function call_is_in_doubt(status text, error_code text) returns boolean
language sql immutable parallel safe
return status = 'failed' and coalesce(error_code in ('no_call_sid', 'several_candidates'), false);

-- What a row must be holds for each that is written from here on; the ones before are moved to it, then checked.
do $$
declare
    has text[] := array(select conname::text from pg_constraint where conrelid = 'call_log'::regclass);
begin
    -- Asked for again and again: behind a lock that is waited for, everybody waits.
    for attempt in 1..100 loop
        begin
            perform set_config('lock_timeout', '500ms', true);
            lock table call_log, leads in access exclusive mode;
            exit;
        exception
            when lock_not_available or deadlock_detected then
                if attempt = 100 then
                    raise;
                end if;
                perform pg_sleep(0.1);
        end;
    end loop;

    alter table call_log
        add column if not exists due_at timestamptz not null default now(),
        add column if not exists overdue_at timestamptz null,
        add column if not exists fence bigint not null default 0,
        add column if not exists put_backs integer not null default 0,
        add column if not exists looks integer not null default 0,
        add column if not exists looked_at timestamptz null,
        add column if not exists dialed_at timestamptz null,
        add column if not exists answered_at timestamptz null,
        add column if not exists ended_at timestamptz null,
        add column if not exists duration_s integer null,
        add column if not exists answered_by text null,
        add column if not exists idempotency_key text null,
        add column if not exists lead_id bigint null;

    if not 'call_log_lead_id_fkey' = any(has) then
        alter table call_log
            add constraint call_log_lead_id_fkey foreign key (lead_id) references leads (id) not valid;
    end if;

    -- A plain INSERT of business_id, from_number and to_number puts a call in the queue.
    alter table call_log alter column direction set default 'outbound';
    alter table call_log alter column status set default 'queued';

    -- For as long as it takes to know that no row lacks one: then the column itself says so, without reading the table.
    if exists (
        select
          from pg_attribute
         where attrelid = 'call_log'::regclass and attname = 'status' and not attnotnull
    ) and not 'call_log_status_given' = any(has) then
        alter table call_log add constraint call_log_status_given check (status is not null) not valid;
    end if;

    if not 'call_log_status' = any(has) then
        alter table call_log add constraint call_log_status check (
            status in ('queued', 'claimed', 'initiated', 'ringing', 'in-progress',
                       'completed', 'busy', 'no-answer', 'failed', 'canceled')
        ) not valid;
    end if;

    if not 'call_log_direction' = any(has) then
        alter table call_log add constraint call_log_direction check (direction in ('outbound', 'inbound')) not valid;
    end if;

    -- Every state that can get stuck carries its deadline.
    if not 'call_log_deadline' = any(has) then
        alter table call_log add constraint call_log_deadline check (
            status not in ('claimed', 'initiated', 'ringing', 'in-progress') or overdue_at is not null
        ) not valid;
    end if;

    -- What waits to be dialed can be dialed.
    if not 'call_log_dialable' = any(has) then
        alter table call_log add constraint call_log_dialable check (
            status not in ('queued', 'claimed')
            or coalesce(direction = 'outbound'
                        and call_sid is null
                        and from_number ~ '^\+[1-9][0-9]{6,14}$'
                        and to_number ~ '^\+[1-9][0-9]{6,14}$', false)
        ) not valid;
    end if;
end
$$;

-- Rows from before, once: until call_log_dialable, the last to be checked, holds for all of them.  Whatever was in flight
-- was already given to the carrier, or perhaps was: such a call is looked up and closed, never dialed again.
do $$
declare
    since bigint := (select min(id) - 1 from call_log);
    until bigint;
begin
    if exists (
        select
          from pg_constraint
         where conrelid = 'call_log'::regclass and conname = 'call_log_dialable' and convalidated
    ) then
        return;
    end if;
    loop
        select max(id) into until from (select id from call_log where id > since order by id limit 2000) as batch;
        exit when until is null;

        with row_before as (
            select id, updated_at, created_at, replace(lower(coalesce(status, '')), '_', '-') as word
              from call_log
             where id > since and id <= until
               and overdue_at is null and ended_at is null  -- else an earlier run has moved it
               for update
        ), moved as (
            select *,
                   case word
                       when 'in-progress' then 'in-progress'
                       when 'ringing' then 'ringing'
                       when 'queued' then 'initiated'
                       when 'initiated' then 'initiated'
                       when 'dialing' then 'initiated'
                       when 'calling' then 'initiated'
                       when 'completed' then 'completed'
                       when 'ended' then 'completed'
                       when 'busy' then 'busy'
                       when 'no-answer' then 'no-answer'
                       when 'canceled' then 'canceled'
                       when 'cancelled' then 'canceled'
                       else 'failed'
                   end as status,
                   word in ('in-progress', 'ringing', 'queued', 'initiated', 'dialing', 'calling', 'completed', 'ended',
                            'busy', 'no-answer', 'canceled', 'cancelled', 'failed') as is_known
              from row_before
        )
        update call_log
           set direction = case
                               when direction like 'outbound%' then 'outbound'
                               when direction like 'inbound%' then 'inbound'
                           end,
               status = moved.status,
               error_code = case when is_known then error_code else 'unknown_status' end,
               error_message = case
                                   when is_known then error_message
                                   else 'Upgrade: the old status was '
                                        || coalesce(quote_literal(call_log.status), 'missing') || '.'
                               end,
               call_sid = nullif(call_sid, ''),  -- an empty one is none
               overdue_at = case when call_status_rank(moved.status) < 5 then now() end,
               dialed_at = case when call_status_rank(moved.status) < 5 then moved.created_at else dialed_at end,
               ended_at = case when call_status_rank(moved.status) = 5 then moved.updated_at end
          from moved
         where call_log.id = moved.id;

        since := until;
        commit;
    end loop;
end
$$;

-- A call_sid belongs to one row: the newest keeps it, the others keep it in words.
do $$
declare
    twin record;
    done integer := 0;
begin
    if exists (
        select
          from pg_constraint
         where conrelid = 'call_log'::regclass and conname = 'call_log_dialable' and convalidated
    ) then
        return;
    end if;
    for twin in
        select *
          from (select id, call_sid, max(id) over (partition by call_sid) as newest
                  from call_log
                 where call_sid is not null) as same
         where id <> newest
         order by id
    loop
        update call_log
           set call_sid = null,
               error_message = coalesce(error_message || ' ', '')
                               || 'Upgrade: call_sid ' || call_sid || ' is kept by call ' || twin.newest || '.'
         where id = twin.id and call_sid = twin.call_sid;
        done := done + 1;
        if done % 1000 = 0 then
            commit;
        end if;
    end loop;
end
$$;

-- One live call per business and number: the newest that has a call_sid stays live, else the newest.
do $$
declare
    twin record;
    done integer := 0;
begin
    if exists (
        select
          from pg_constraint
         where conrelid = 'call_log'::regclass and conname = 'call_log_dialable' and convalidated
    ) then
        return;
    end if;
    for twin in
        select *
          from (select id,
                       first_value(id) over (partition by business_id, to_number
                                             order by call_sid is null, id desc) as newest
                  from call_log
                 where direction = 'outbound' and status in ('initiated', 'ringing', 'in-progress')) as same
         where id <> newest
         order by id
    loop
        update call_log
           set status = 'failed',
               error_code = 'superseded',
               error_message = 'Upgrade: call ' || twin.newest || ' to the same number is kept live.',
               overdue_at = null,
               dialed_at = null,
               ended_at = updated_at
         where id = twin.id and status in ('initiated', 'ringing', 'in-progress');
        done := done + 1;
        if done % 1000 = 0 then
            commit;
        end if;
    end loop;
end
$$;

do $$
begin
    if exists (
        select from pg_constraint where conrelid = 'call_log'::regclass and conname = 'call_log_status_given'
    ) then
        alter table call_log validate constraint call_log_status_given;
    end if;
end
$$;

alter table call_log validate constraint call_log_lead_id_fkey;
alter table call_log validate constraint call_log_status;
alter table call_log validate constraint call_log_direction;
alter table call_log validate constraint call_log_deadline;
alter table call_log validate constraint call_log_dialable;

create unique index concurrently if not exists call_log_call_sid on call_log (call_sid) where call_sid is not null;

create unique index concurrently if not exists call_log_idempotency_key
    on call_log (business_id, idempotency_key) where idempotency_key is not null;

-- The reservation: one live outbound call per business and number.
create unique index concurrently if not exists call_log_one_live
    on call_log (business_id, to_number)
 where direction = 'outbound' and status in ('queued', 'claimed', 'initiated', 'ringing', 'in-progress');

-- What a claim reads, business by business.
create index concurrently if not exists call_log_due on call_log (business_id, due_at, id) where status = 'queued';

-- What clean-up, reconcile and metrics read: the one meaning of "stale".
create index concurrently if not exists call_log_overdue on call_log (overdue_at) where overdue_at is not null;

-- What is in the air; small however long the history is.
create index concurrently if not exists call_log_live
    on call_log (status, business_id)
 where status in ('claimed', 'initiated', 'ringing', 'in-progress');

-- The last guard, also for moves made by hand.
create or replace function call_log_guard() returns trigger
language plpgsql as $$
begin
    new.updated_at := now();
    if new.status <> old.status
       and call_status_rank(new.status) <= call_status_rank(old.status)
       and not (new.status = 'queued' and old.status in ('claimed', 'initiated') and old.call_sid is null)
       and not (call_awaits_truth(old.status, old.error_code) and new.call_sid is not null)
    then
        raise check_violation using message = format('call %s may not move from %s to %s', old.id, old.status, new.status);
    end if;
    if old.call_sid is not null and new.call_sid is distinct from old.call_sid then
        raise check_violation using message = format('call %s already has a call_sid, which never changes', old.id);
    end if;
    if old.lead_id is not null and new.lead_id is distinct from old.lead_id then
        raise check_violation using message = format('call %s already has a lead, which never changes', old.id);
    end if;
    return new;
end
$$;

do $$
begin
    -- Asked for again and again: behind a lock that is waited for, everybody waits.
    for attempt in 1..100 loop
        begin
            perform set_config('lock_timeout', '500ms', true);
            lock table call_log in access exclusive mode;
            exit;
        exception
            when lock_not_available or deadlock_detected then
                if attempt = 100 then
                    raise;
                end if;
                perform pg_sleep(0.1);
        end;
    end loop;

    alter table call_log alter column status set not null;  -- known by now, without reading the table
    alter table call_log drop constraint if exists call_log_status_given;

    create or replace trigger call_log_guard before update on call_log
    for each row execute function call_log_guard();
end
$$;
