-- call_log becomes the queue: when a call is due, when it is overdue, and which moves are legal.
-- Run while nobody dials: the upgrade from the old system, whose tables are small, may lock them.
-- squawk-ignore-file require-concurrent-index-creation, adding-foreign-key-constraint, adding-not-nullable-field
-- squawk-ignore-file ban-drop-constraint, constraint-missing-not-valid
-- depends: 0004_leads_one_per_phone

alter table call_log add column if not exists due_at timestamptz not null default now();
alter table call_log add column if not exists overdue_at timestamptz null;
alter table call_log add column if not exists fence bigint not null default 0;
alter table call_log add column if not exists put_backs integer not null default 0;
alter table call_log add column if not exists looks integer not null default 0;
alter table call_log add column if not exists looked_at timestamptz null;
alter table call_log add column if not exists dialed_at timestamptz null;
alter table call_log add column if not exists answered_at timestamptz null;
alter table call_log add column if not exists ended_at timestamptz null;
alter table call_log add column if not exists duration_s integer null;
alter table call_log add column if not exists answered_by text null;
alter table call_log add column if not exists idempotency_key text null;
alter table call_log add column if not exists lead_id bigint null references leads (id);

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

-- Rows of the old system, once.  Whatever it had in flight was already given to the carrier, or perhaps was: such a
-- call is looked up and closed, never dialed again.
do $$
begin
    if to_regclass('call_log_overdue') is not null then
        return;
    end if;

    update call_log
       set direction = case when direction like 'outbound%' then 'outbound' when direction like 'inbound%' then 'inbound' end
     where direction is null or direction not in ('outbound', 'inbound');

    update call_log
       set status = case replace(lower(coalesce(status, '')), '_', '-')
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
                    end,
           error_code = case when replace(lower(coalesce(status, '')), '_', '-') in
                             ('in-progress', 'ringing', 'queued', 'initiated', 'dialing', 'calling', 'completed', 'ended',
                              'busy', 'no-answer', 'canceled', 'cancelled', 'failed')
                             then error_code else 'unknown_status' end,
           error_message = case when replace(lower(coalesce(status, '')), '_', '-') in
                             ('in-progress', 'ringing', 'queued', 'initiated', 'dialing', 'calling', 'completed', 'ended',
                              'busy', 'no-answer', 'canceled', 'cancelled', 'failed')
                             then error_message
                             else 'Upgrade: the old status was ' || coalesce(quote_literal(status), 'missing') || '.' end
     where status is null
        or status not in ('initiated', 'ringing', 'in-progress', 'completed', 'busy', 'no-answer', 'failed', 'canceled');

    -- An empty call_sid is none.
    update call_log
       set call_sid = null
     where call_sid = '';

    -- A call_sid belongs to one row: the newest keeps it, the others keep it in words.
    update call_log
       set call_sid = null,
           error_message = coalesce(call_log.error_message || ' ', '')
                           || 'Upgrade: call_sid ' || call_log.call_sid || ' is kept by call ' || newest.id || '.'
      from (select call_sid, max(id) as id from call_log where call_sid is not null group by call_sid) as newest
     where call_log.call_sid = newest.call_sid and call_log.id <> newest.id;

    -- One live call per business and number: the newest that has a call_sid stays live, else the newest.
    update call_log
       set status = 'failed',
           error_code = 'superseded',
           error_message = 'Upgrade: call ' || newest.id || ' to the same number is kept live.'
      from (select distinct on (business_id, to_number) business_id, to_number, id
              from call_log
             where direction = 'outbound' and call_status_rank(status) < 5
             order by business_id, to_number, call_sid is null, id desc) as newest
     where call_log.direction = 'outbound'
       and call_status_rank(call_log.status) < 5
       and call_log.business_id = newest.business_id
       and call_log.to_number is not distinct from newest.to_number
       and call_log.id <> newest.id;

    update call_log
       set overdue_at = now(), dialed_at = created_at
     where call_status_rank(status) < 5;

    update call_log
       set ended_at = updated_at
     where call_status_rank(status) = 5;
end
$$;

-- A plain INSERT of business_id, from_number and to_number puts a call in the queue.
alter table call_log alter column direction set default 'outbound';
alter table call_log alter column status set default 'queued';
alter table call_log alter column status set not null;

alter table call_log drop constraint if exists call_log_status;
alter table call_log add constraint call_log_status check (
    status in ('queued', 'claimed', 'initiated', 'ringing', 'in-progress',
               'completed', 'busy', 'no-answer', 'failed', 'canceled')
);

alter table call_log drop constraint if exists call_log_direction;
alter table call_log add constraint call_log_direction check (direction in ('outbound', 'inbound'));

-- Every state that can get stuck carries its deadline.
alter table call_log drop constraint if exists call_log_deadline;
alter table call_log add constraint call_log_deadline check (
    status not in ('claimed', 'initiated', 'ringing', 'in-progress') or overdue_at is not null
);

-- What waits to be dialed can be dialed.
alter table call_log drop constraint if exists call_log_dialable;
alter table call_log add constraint call_log_dialable check (
    status not in ('queued', 'claimed')
    or coalesce(direction = 'outbound'
                and call_sid is null
                and from_number ~ '^\+[1-9][0-9]{6,14}$'
                and to_number ~ '^\+[1-9][0-9]{6,14}$', false)
);

create unique index if not exists call_log_call_sid on call_log (call_sid) where call_sid is not null;

create unique index if not exists call_log_idempotency_key
    on call_log (business_id, idempotency_key) where idempotency_key is not null;

-- The reservation: one live outbound call per business and number.
create unique index if not exists call_log_one_live
    on call_log (business_id, to_number)
 where direction = 'outbound' and status in ('queued', 'claimed', 'initiated', 'ringing', 'in-progress');

-- What a claim reads, business by business.
create index if not exists call_log_due on call_log (business_id, due_at, id) where status = 'queued';

-- What clean-up, reconcile and metrics read: the one meaning of "stale".
create index if not exists call_log_overdue on call_log (overdue_at) where overdue_at is not null;

-- What is in the air; small however long the history is.
create index if not exists call_log_live
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

create or replace trigger call_log_guard before update on call_log
for each row execute function call_log_guard();
