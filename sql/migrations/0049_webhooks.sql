-- What happened to calls, leads and campaigns, written for those who want to know, and delivered to their endpoints.
-- depends: 0048_call_import

do $$
begin
    -- Asked for again and again: behind a lock that is waited for, everybody waits.
    for attempt in 1..100 loop
        begin
            perform set_config('lock_timeout', '500ms', true);
            lock table business in share row exclusive mode;
            exit;
        exception
            when lock_not_available or deadlock_detected then
                if attempt = 100 then
                    raise;
                end if;
                perform pg_sleep(0.1);
        end;
    end loop;
    create table if not exists webhook_endpoint (
        id                bigint generated always as identity primary key,
        business_id       bigint null references business (id) on delete cascade,
        url               text not null check (char_length(url) between 1 and 2000),
        event_types       text[] not null default '{}',
        payload           text not null default 'full' check (payload in ('full', 'thin')),
        own_networks      boolean not null default false,
        secret_generation integer not null default 1 check (secret_generation > 0),
        rotated_at        timestamptz null,
        state             text not null default 'on' check (state in ('on', 'off')),
        state_reason      text null,
        state_since       timestamptz null,
        failures          integer not null default 0,
        failing_since     timestamptz null,
        hold_until        timestamptz null,
        created_by        text not null,
        created_at        timestamptz not null default now()
    );
    create index if not exists webhook_endpoint_business on webhook_endpoint (business_id);
    create table if not exists event_reader (
        name          text not null check (char_length(name) between 1 and 100),
        business_id   bigint null references business (id) on delete cascade,
        wanted_until  timestamptz not null
    );
    create unique index if not exists event_reader_name on event_reader (name, coalesce(business_id, 0));
    create index if not exists event_reader_business on event_reader (business_id);
    create table if not exists event_log (
        id          bigint generated always as identity primary key,
        public_id   text not null unique check (char_length(public_id) between 1 and 100),
        xid         xid8 not null default pg_current_xact_id(),
        business_id bigint null references business (id) on delete cascade,
        type        text not null check (char_length(type) between 1 and 50),
        call_id     bigint null,
        at          timestamptz not null default now(),
        data        jsonb not null
    );
    create index if not exists event_log_order on event_log (xid, id);
    create index if not exists event_log_business on event_log (business_id, xid, id);
    create index if not exists event_log_age on event_log (at);
    create index if not exists event_log_call on event_log (call_id) where call_id is not null;
    create table if not exists webhook_delivery (
        endpoint_id bigint not null references webhook_endpoint (id) on delete cascade,
        event_id    bigint not null references event_log (id) on delete cascade,
        call_id     bigint null,
        state       text not null default 'due' check (state in ('due', 'claimed', 'sending', 'done', 'given_up')),
        attempts    integer not null default 0,
        due_at      timestamptz not null default now(),
        overdue_at  timestamptz null,
        is_replay   boolean not null default false,
        status_code integer null,
        error       text null check (char_length(error) <= 300),
        took_ms     integer null,
        done_at     timestamptz null,
        primary key (endpoint_id, event_id)
    );
    create index if not exists webhook_delivery_event on webhook_delivery (event_id);
    create index if not exists webhook_delivery_due on webhook_delivery (endpoint_id, due_at, event_id)
        where state = 'due';
    create index if not exists webhook_delivery_sending on webhook_delivery (endpoint_id, overdue_at)
        where state in ('claimed', 'sending');
    create index if not exists webhook_delivery_given_up on webhook_delivery (endpoint_id, event_id)
        where state = 'given_up';
    create index if not exists webhook_delivery_order on webhook_delivery (endpoint_id, call_id, event_id)
        where state in ('due', 'claimed', 'sending') and call_id is not null;
end
$$;

comment on table webhook_endpoint is
'An address that receives events. Written by the commands and the API; holds and failures by the deliveries.';
comment on column webhook_endpoint.id is 'Referenced by webhook_delivery.endpoint_id; its secret is derived from it.';
comment on column webhook_endpoint.business_id is 'The one business whose events it receives; null for all.';
comment on column webhook_endpoint.url is 'Where events are posted to.';
comment on column webhook_endpoint.event_types is
'The types of events that it receives; empty for all but call.answered, which must be named.';
comment on column webhook_endpoint.payload is 'full, or thin: ids alone, without numbers and contacts.';
comment on column webhook_endpoint.own_networks is
'Whether it may lead to the networks of OUTBOUND_WEBHOOK_ALLOW: an operator gave the address.';
comment on column webhook_endpoint.secret_generation is 'Raised by each rotation: another secret is derived.';
comment on column webhook_endpoint.rotated_at is
'When the secret was last changed; for 24 hours both sign. Null: never.';
comment on column webhook_endpoint.state is 'on, or off: nothing is sent, and its events wait.';
comment on column webhook_endpoint.state_reason is 'Why it is off, in a sentence for operators.';
comment on column webhook_endpoint.state_since is 'When its state last changed. Null: never.';
comment on column webhook_endpoint.failures is 'Attempts that failed in a row. A success sets it to 0.';
comment on column webhook_endpoint.failing_since is 'When the first of these failed. Null: the last attempt succeeded.';
comment on column webhook_endpoint.hold_until is
'After failures in a row nothing is sent before this moment, and then one attempt at a time. Null: no hold.';
comment on column webhook_endpoint.created_by is 'Who added it, as the audit names them.';
comment on column webhook_endpoint.created_at is 'When it was added.';
comment on table event_reader is
'Who reads the stream of events. While there is one, events are written though no endpoint wants them.';
comment on column event_reader.name is 'Who reads: a token, or the operating system''s user and host.';
comment on column event_reader.business_id is 'The one business whose events it reads; null for all.';
comment on column event_reader.wanted_until is 'Events are written for it until then; each reading moves it.';
comment on table event_log is
'What happened to calls and campaigns, without numbers and names. Written by triggers with the change itself; kept for 30 days.';
comment on column event_log.id is 'In the order of writing, which is not the order of the commits.';
comment on column event_log.public_id is 'Made of what happened, so that no event has two: webhook-id.';
comment on column event_log.xid is 'The transaction that wrote it: a reader sees all ids of it once it has ended.';
comment on column event_log.business_id is 'Whose event it is; null for what concerns an endpoint of all businesses.';
comment on column event_log.type is 'call.ended, lead.created, ... (outbound/webhooks/event.py).';
comment on column event_log.call_id is 'The call that it is about; events of one call are delivered in their order.';
comment on column event_log.at is 'When it happened, by the clock of the database.';
comment on column event_log.data is 'Its data; numbers, keys and contacts are added when it is sent.';
comment on table webhook_delivery is
'An event on its way to an endpoint. Written with the event, and by the deliveries.';
comment on column webhook_delivery.endpoint_id is 'Where it goes.';
comment on column webhook_delivery.event_id is 'What is sent.';
comment on column webhook_delivery.call_id is 'The call of the event; its events go out one after the other.';
comment on column webhook_delivery.state is 'due, claimed for a worker, sending, done, or given_up after ten attempts.';
comment on column webhook_delivery.attempts is
'Attempts so far. A worker''s write is refused when another has raised it.';
comment on column webhook_delivery.due_at is 'Not to be sent before this moment.';
comment on column webhook_delivery.overdue_at is
'While it is claimed or sent: past it, the message is taken for lost or the worker for dead.';
comment on column webhook_delivery.is_replay is 'Whether somebody asked for it once more.';
comment on column webhook_delivery.status_code is 'HTTP status of the last answer. Null: there was none.';
comment on column webhook_delivery.error is
'What went wrong at the last attempt, 300 characters at most. Null: nothing.';
comment on column webhook_delivery.took_ms is 'How long the last attempt took, in milliseconds.';
comment on column webhook_delivery.done_at is 'When it was delivered or given up.';

do $functions$
begin
-- Does an endpoint of these types receive events of this type?  No types are all but call.answered, which must be named.
create or replace function endpoint_wants(event_types text[], type text) returns boolean
language sql immutable
return case when $1 = '{}' then $2 <> 'call.answered' else $2 = any($1) end;
comment on function endpoint_wants(text[], text) is
'Does an endpoint of these types receive events of this type?  call.answered must be named.';

-- Does somebody want events of this type of a business: an endpoint, or a reader of the stream?
create or replace function event_is_wanted(business_id bigint, type text) returns boolean
language sql stable
as $$
    select exists (select
                     from webhook_endpoint as endpoint
                    where (endpoint.business_id is null or endpoint.business_id = $1)
                      and endpoint_wants(endpoint.event_types, $2))
           or exists (select
                        from event_reader
                       where (event_reader.business_id is null or event_reader.business_id = $1) and wanted_until > now())
$$;
comment on function event_is_wanted(bigint, text) is
'Does somebody want the events of this type and business: an endpoint, or a reader of the stream?';

-- Write one event, and a delivery of it for each endpoint that wants it.  An event that is there already, by its public
-- id, is not written again.
create or replace function write_event(
    business_id bigint, type text, public_id text, call_id bigint, data jsonb, but_endpoint bigint default null
) returns void
language sql
as $$
    with event as (
        insert into event_log (business_id, type, public_id, call_id, data)
        values ($1, $2, $3, $4, $5)
        on conflict do nothing
        returning event_log.id
    ), delivery as (
        insert into webhook_delivery (endpoint_id, event_id, call_id, due_at)
        -- Behind an earlier event of the call that waits for its next attempt, it waits as long.
        select endpoint.id, event.id, $4,
               greatest(now(), (select max(earlier.due_at)
                                  from webhook_delivery as earlier
                                 where earlier.endpoint_id = endpoint.id
                                   and earlier.call_id = $4
                                   and earlier.state in ('due', 'claimed', 'sending')))
          from event
         inner join webhook_endpoint as endpoint on endpoint.business_id is null or endpoint.business_id = $1
         where endpoint_wants(endpoint.event_types, $2) and endpoint.id is distinct from $6
    )
    select pg_notify('outbound_event', '') from event
$$;
comment on function write_event(bigint, text, text, bigint, jsonb, bigint) is
'Writes one event, and a delivery of it for each endpoint that wants it; one public id is written once.';

-- Write the events of a call that was answered, ended, was corrected, or got its lead; a trigger's.
create or replace function event_of_call() returns trigger
language plpgsql as $$
declare
    told jsonb;
    next_at timestamptz;
    facts jsonb;
begin
    if not exists (select from webhook_endpoint) and not exists (select from event_reader) then
        return null;
    end if;
    facts := jsonb_build_object('call_id', new.id, 'call_sid', new.call_sid, 'campaign_id', new.campaign_id,
                                'direction', new.direction, 'attempt', new.attempt,
                                'first_call_id', coalesce(new.retry_of, new.id));
    if old.lead_id is null and new.lead_id is not null and event_is_wanted(new.business_id, 'lead.created') then
        perform write_event(new.business_id, 'lead.created', 'evt_lead_created_' || new.id, new.id,
                            facts || jsonb_build_object(
                                'lead_id', new.lead_id,
                                'is_new', (select leads.created_at = now() from leads where leads.id = new.lead_id)
                            ));
    end if;
    if new.status is not distinct from old.status then
        return null;
    end if;
    facts := facts || jsonb_build_object('status', new.status, 'answered_by', new.answered_by,
                                         'answered_at', new.answered_at);
    if new.status = 'in-progress' and call_status_rank(old.status) < 5 then
        if event_is_wanted(new.business_id, 'call.answered') then
            perform write_event(new.business_id, 'call.answered', 'evt_call_answered_' || new.id, new.id, facts);
        end if;
        return null;
    end if;
    if new.status not in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
       and call_status_rank(old.status) < 5
    then
        return null;
    end if;
    select data into told from event_log where public_id = 'evt_call_ended_' || new.id;
    if call_status_rank(new.status) = 5 then
        select due_at
          into next_at
          from call_log
         where business_id = new.business_id
           and idempotency_key = 'retry:' || coalesce(new.retry_of, new.id) || ':' || new.attempt + 1;
        facts := facts || jsonb_build_object(
            'ended_at', new.ended_at, 'duration_s', new.duration_s, 'error_code', new.error_code,
            'is_last_attempt', next_at is null, 'next_attempt_at', next_at
        );
        if told is null and event_is_wanted(new.business_id, 'call.ended') then
            perform write_event(new.business_id, 'call.ended', 'evt_call_ended_' || new.id, new.id, facts);
            return null;
        end if;
    end if;
    if event_is_wanted(new.business_id, 'call.corrected')
       and (told is not null or call_status_rank(old.status) = 5
            or exists (select from event_log where call_id = new.id and type = 'call.corrected'))
    then
        told := coalesce(told, jsonb_build_object('status', old.status, 'error_code', old.error_code));
        perform write_event(new.business_id, 'call.corrected', 'evt_call_corrected_' || new.id || '_' || new.status,
                            new.id,
                            facts || jsonb_build_object('was', told -> 'status', 'error_code_was', told -> 'error_code'));
    end if;
    return null;
end
$$;
comment on function event_of_call() is
'Writes the events of a call that is answered, ends, is corrected, or gets its lead.';

-- Write the event of a campaign that is paused, by an operator or by the breaker; a trigger's.  What an operator writes of
-- it is for operators.
create or replace function event_of_pause() returns trigger
language plpgsql as $$
declare
    paused campaign;
    is_breaker constant boolean := cardinality(new.refused_calls) >= 5;
begin
    if tg_op = 'UPDATE' and old.state = 'paused' then
        return null;
    end if;
    select * into paused from campaign where id::text = new.key;
    if found and event_is_wanted(paused.business_id, 'campaign.paused') then
        perform write_event(paused.business_id, 'campaign.paused',
                            'evt_campaign_paused_' || paused.id || '_' || (extract(epoch from now()) * 1000)::bigint,
                            null,
                            jsonb_build_object('campaign_id', paused.id, 'campaign', paused.name,
                                               'by', case when is_breaker then 'breaker' else 'operator' end,
                                               'reason', case when is_breaker then new.state_reason end,
                                               'refused_calls', case when is_breaker then new.refused_calls end));
    end if;
    return null;
end
$$;
comment on function event_of_pause() is
'Writes the event of a campaign that is paused, by an operator or by the breaker.';

-- The data of an event as it is sent: what was written, and what is known of the person now.  That stands in no event, so
-- that a person who is forgotten is forgotten there too.
create or replace function event_payload(event event_log) returns jsonb
language sql stable
as $$
    select $1.data || coalesce(
               (select jsonb_build_object(
                           'to', call_log.to_number, 'from', call_log.from_number, 'contact', call_log.contact,
                           'key', case when retry_of is null then call_log.idempotency_key end
                       ) || case
                           when $1.type = 'lead.created' then jsonb_build_object('phone', leads.phone) else '{}'
                       end
                  from call_log
                  left join leads on leads.id = call_log.lead_id
                 where call_log.id = $1.call_id),
               '{}'
           )
$$;
comment on function event_payload(event_log) is
'The data of an event as it is sent: what was written, and what is known of the person now.';

-- Delete a call that has ended, what the carrier said of it, and its events; one that somebody's table still points to is
-- set aside and stays.
create or replace function delete_call(call_id bigint) returns boolean
language plpgsql as $$
begin
    delete from call_event where call_event.call_id = $1;
    delete from event_log where event_log.call_id = $1;
    delete from call_log where id = $1;
    return true;
exception
    when others then
        if not is_of_a_row(sqlstate) then
            raise;
        end if;
        perform set_aside($1, 'retention', sqlstate, sqlerrm);
        return false;
end
$$;

-- Write the event of an import that ended, in whatever way; a trigger's.  The event of an import whose lines name their
-- businesses is of none, and goes to endpoints of all.
create or replace function event_of_import() returns trigger
language plpgsql as $$
begin
    if event_is_wanted(new.business_id, 'import.done') then
        perform write_event(new.business_id, 'import.done', 'evt_import_done_' || new.id, null,
                            jsonb_build_object('import_id', new.id, 'campaign_id', new.campaign_id, 'state', new.state,
                                               'created', new.created, 'already_there', new.already_there,
                                               'duplicates', new.duplicates, 'rejected', new.rejected));
    end if;
    return null;
end
$$;
comment on function event_of_import() is
'Writes the event of an import that ended.';

-- What attempts that came to their end together make of their endpoint.  A success forgets its failures; after in_a_row of
-- them it is held, for hold_s and twice as long each time up to hold_max_s, or as long as it asked for (asked_s).  After
-- failing_days without one success and failures_min failures it is switched off, and at once where it is gone.
create or replace function endpoint_after_attempts(
    endpoint webhook_endpoint, has_success boolean, is_gone boolean, failed bigint, asked_s float8, in_a_row integer,
    hold_s float8, hold_max_s float8, failing_days integer, failures_min integer
) returns table (
    failures integer, failing_since timestamptz, hold_until timestamptz, state text, state_since timestamptz,
    state_reason text
)
language sql stable rows 1
as $$
    select now.failures, now.since,
           case
               when asked_s is not null then now() + make_interval(secs => least(asked_s, hold_max_s))
               when now.failures >= in_a_row
                   then now() + make_interval(
                       secs => least(hold_max_s, hold_s * 2 ^ least(now.failures - in_a_row, 20))
                   )
           end,
           case when is_off then 'off' else endpoint.state end,
           case when is_off then now() else endpoint.state_since end,
           case
               when not is_off then endpoint.state_reason
               when is_gone then 'It answered 410: it is gone.'
               else format('No attempt succeeded since %s.', moment_text(now.since, 'UTC'))
           end
      from (select case when has_success then 0 else (endpoint.failures + failed)::integer end as failures,
                   case when not has_success then coalesce(endpoint.failing_since, now()) end as since) as now
     cross join lateral (
           select is_gone
                  or now.failures >= failures_min
                  and coalesce(now.since < now() - make_interval(days => failing_days), false) as is_off
     ) as end_of_it
$$;
comment on function
endpoint_after_attempts(
    webhook_endpoint, boolean, boolean, bigint, float8, integer, float8, float8, integer, integer
) is
'What attempts that came to their end together make of their endpoint: its failures, hold and state.';

-- How long a delivery waits after so many attempts that failed, before the jitter of a fifth; null after the last one.
create or replace function webhook_wait(attempts integer) returns interval
language sql immutable
return (array['5 s', '5 min', '30 min', '2 h', '5 h', '10 h', '14 h', '20 h', '24 h']::interval[])[$1];
comment on function webhook_wait(integer) is
'How long a delivery waits after so many attempts; null after the last one.';
end
$functions$;

do $$
begin
    for attempt in 1..100 loop
        begin
            perform set_config('lock_timeout', '500ms', true);
            lock table call_log, dial_control in share row exclusive mode;
            exit;
        exception
            when lock_not_available or deadlock_detected then
                if attempt = 100 then
                    raise;
                end if;
                perform pg_sleep(0.1);
        end;
    end loop;
    drop trigger if exists call_log_event on call_log;
    create trigger call_log_event after update of status, lead_id on call_log for each row
        when (old.status is distinct from new.status
                  and new.status in ('in-progress', 'completed', 'busy', 'no-answer', 'failed', 'canceled')
              or old.lead_id is null and new.lead_id is not null
              or old.status in ('failed', 'canceled') and new.status is distinct from old.status)
        execute function event_of_call();
    drop trigger if exists call_import_event on call_import;
    create trigger call_import_event after update of state on call_import for each row
        when (old.state = 'running' and new.state <> 'running')
        execute function event_of_import();
    drop trigger if exists dial_control_event on dial_control;
    create trigger dial_control_event after insert or update of state on dial_control for each row
        when (new.scope = 'campaign' and new.state = 'paused')
        execute function event_of_pause();
end
$$;

-- The triggers write as whoever changes a call: who may do that may write events, also before `outbound roles` is run again.
do $$
declare
    writer text;
begin
    for writer in
        select distinct granted.grantee::regrole::text
          from pg_class
         cross join aclexplode(pg_class.relacl) as granted
         where pg_class.oid = 'call_log'::regclass
           and granted.privilege_type = 'UPDATE'
           and granted.grantee not in (0, pg_class.relowner)
    loop
        execute format('grant select, insert, update, delete on webhook_endpoint, event_reader, event_log, '
                       'webhook_delivery to %s', writer);
    end loop;
end
$$;

-- What a later migration than 0025 makes for triggers gets a search_path by that migration's own block.
do $$
declare
    target regprocedure;
begin
    for target in
        with recursive reached as (
            select pg_proc.oid, pg_proc.prosqlbody is not null as is_bound
              from pg_depend
             inner join pg_proc on pg_proc.oid = pg_depend.refobjid
             where pg_depend.refclassid = 'pg_proc'::regclass
               and pg_depend.classid in ('pg_trigger'::regclass, 'pg_constraint'::regclass, 'pg_class'::regclass,
                                         'pg_attrdef'::regclass, 'pg_type'::regclass)
               and pg_proc.pronamespace = current_schema()::regnamespace
            union
            select pg_proc.oid, pg_proc.prosqlbody is not null
              from reached
             inner join pg_depend
                on pg_depend.classid = 'pg_proc'::regclass
               and pg_depend.objid = reached.oid
               and pg_depend.refclassid = 'pg_proc'::regclass
             inner join pg_proc on pg_proc.oid = pg_depend.refobjid
             where reached.is_bound
               and pg_proc.pronamespace = current_schema()::regnamespace
        )
        select oid::regprocedure from reached where not is_bound order by 1
    loop
        execute format('alter function %s set search_path = %I, pg_temp', target, current_schema());
    end loop;
end
$$;
