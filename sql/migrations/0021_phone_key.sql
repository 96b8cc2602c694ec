-- One telephone, one key: what is suppressed, agreed to, checked, live, counted and known as a lead is the telephone, in
-- whichever of its two E.164 forms it is written.  What is dialed stays as it was written.
-- Safe while calls are dialed: the indexes are built beside readers and writers, and take the place of the old ones at once.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction, ban-drop-constraint
-- transactional: false
-- depends: 0020_set_aside

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
                   'call_log_one_live_keyed', 'call_log_attempts_keyed', 'call_log_unchecked_keyed',
                   'leads_one_per_phone_keyed')
    loop
        execute 'drop index ' || leftover;
    end loop;
end
$$;

-- The form of a number that stands for its telephone.  Argentina's mobiles lose the 9 that is dialed from abroad,
-- Mexico's the 1 that was dialed until 2020; Brazil's that lack the ninth digit (all since 2016) get it: they began with
-- 6 to 9, and landlines do not.
create or replace function phone_key(phone text) returns text
language sql immutable parallel safe
return case left(phone, 3)
    when '+54' then regexp_replace(phone, '^\+549([0-9]{10})$', '+54\1')
    when '+52' then regexp_replace(phone, '^\+521([0-9]{10})$', '+52\1')
    when '+55' then regexp_replace(phone, '^(\+55[1-9]{2})([6-9][0-9]{7})$', '\19\2')
    else phone
end;

-- Of two live calls to one telephone the one that has come furthest stays live, the newest of equals.  One that nobody
-- has begun to dial is canceled; one that the carrier may have is closed as superseded, which a later word of the carrier
-- still changes, to what is true.
with live as (
    select id, first_value(id) over (partition by business_id, phone_key(to_number)
                                     order by call_status_rank(status) desc, id desc) as kept
      from call_log
     where direction = 'outbound' and status in ('queued', 'claimed', 'initiated', 'ringing', 'in-progress')
)
update call_log
   set status = case when status in ('queued', 'claimed') then 'canceled' else 'failed' end,
       error_code = 'superseded',
       error_message = 'Upgrade: call ' || live.kept || ' to the same telephone, written in another way, is kept live.',
       ended_at = now(),
       overdue_at = case when call_sid is not null and lead_id is null then now() end,
       held_by = null
  from live
 where call_log.id = live.id and live.id <> live.kept;

create unique index concurrently if not exists call_log_one_live_keyed
    on call_log (business_id, phone_key(to_number))
 where direction = 'outbound' and status in ('queued', 'claimed', 'initiated', 'ringing', 'in-progress');

create index concurrently if not exists call_log_attempts_keyed
    on call_log (business_id, phone_key(to_number), dialed_at)
 where direction = 'outbound' and dialed_at is not null;

create index concurrently if not exists call_log_unchecked_keyed
    on call_log (phone_key(to_number))
 where status = 'queued' and held_by = 'registry_check_old';

-- Else the planner takes the calls of one telephone for many, and reads the table.
create statistics if not exists call_log_phone_key on (phone_key(to_number)) from call_log;

-- All leads are kept; of one telephone the oldest is the lead, and the others point to it.
with twin as (
    select id, min(id) over (partition by business_id, phone_key(phone)) as oldest from leads where duplicate_of is null
)
update leads
   set duplicate_of = twin.oldest
  from twin
 where coalesce(leads.duplicate_of, leads.id) = twin.id and twin.id <> twin.oldest;

create unique index concurrently if not exists leads_one_per_phone_keyed
    on leads (business_id, phone_key(phone)) where duplicate_of is null;

-- All locks at once and none for long: who is writing is waited for outside of any queue, so that nobody waits behind us.
do $$
declare
    before text := current_setting('lock_timeout');
begin
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
    perform set_config('lock_timeout', before, true);

    drop index if exists call_log_one_live, call_log_attempts, call_log_unchecked, leads_one_per_phone;
    alter index call_log_one_live_keyed rename to call_log_one_live;
    alter index call_log_attempts_keyed rename to call_log_attempts;
    alter index call_log_unchecked_keyed rename to call_log_unchecked;
    alter index leads_one_per_phone_keyed rename to leads_one_per_phone;
end
$$;

-- The same for the lists, with the functions that read them.
do $entries$
declare
    before text := current_setting('lock_timeout');
begin
    for attempt in 1..100 loop
        begin
            perform set_config('lock_timeout', '500ms', true);
            lock table suppression, consent, registry_check in access exclusive mode;
            exit;
        exception
            when lock_not_available or deadlock_detected then
                if attempt = 100 then
                    raise;
                end if;
                perform pg_sleep(0.1);
        end;
    end loop;
    perform set_config('lock_timeout', before, true);

-- Of several entries of one telephone the oldest stays; of consents the latest word, of checks the latest answer, and of
-- one moment what forbids.  What goes is in the audit.
with gone as (
    delete from suppression
     using (select id, min(id) over (partition by phone_key(phone), coalesce(business_id, 0), coalesce(campaign_id, 0))
                   as oldest
              from suppression) as twin
     where suppression.id = twin.id and twin.id <> twin.oldest
    returning suppression.*
)
insert into audit (who, action, scope, key, details)
select 'migration', 'merge_phone', 'account', '', to_jsonb(gone) || '{"table": "suppression"}' from gone;

with gone as (
    delete from consent
     using (select business_id, phone,
                   row_number() over (partition by business_id, phone_key(phone)
                                      order by greatest(given_at, revoked_at) desc, revoked_at is null, expires_at)
                   as place
              from consent) as twin
     where consent.business_id = twin.business_id and consent.phone = twin.phone and place > 1
    returning consent.*
)
insert into audit (who, action, scope, key, details)
select 'migration', 'merge_phone', 'account', '', to_jsonb(gone) || '{"table": "consent"}' from gone;

with gone as (
    delete from registry_check
     using (select phone,
                   row_number() over (partition by phone_key(phone) order by checked_at desc, is_listed desc) as place
              from registry_check) as twin
     where registry_check.phone = twin.phone and place > 1
    returning registry_check.*
)
insert into audit (who, action, scope, key, details)
select 'migration', 'merge_phone', 'account', '', to_jsonb(gone) || '{"table": "registry_check"}' from gone;

drop index if exists suppression_once;
create unique index suppression_once
    on suppression (phone_key(phone), coalesce(business_id, 0), coalesce(campaign_id, 0));

-- A second unique index beside the key's would let two imports at once meet there, as an error.
alter table consent drop constraint if exists consent_pkey;
drop index if exists consent_once;
create unique index consent_once on consent (business_id, phone_key(phone));

alter table registry_check drop constraint if exists registry_check_pkey;
drop index if exists registry_check_once;
create unique index registry_check_once on registry_check (phone_key(phone));

create or replace function is_suppressed(phone text, business_id bigint, campaign_id bigint) returns boolean
language sql stable parallel safe
return exists (
    select
      from suppression
     where phone_key(suppression.phone) = phone_key(is_suppressed.phone)
       and coalesce(suppression.business_id, is_suppressed.business_id) = is_suppressed.business_id
       and (suppression.campaign_id is null or suppression.campaign_id = is_suppressed.campaign_id)
);

create or replace function has_consent(business_id bigint, phone text) returns boolean
language sql stable parallel safe
return exists (
    select
      from consent
     where consent.business_id = has_consent.business_id
       and phone_key(consent.phone) = phone_key(has_consent.phone)
       and consent.revoked_at is null
       and consent.given_at <= now()
       and (consent.expires_at is null or consent.expires_at > now())
);
end
$entries$;

-- call_obstacle counts attempts and finds checks by the key.  Its text is edited, not repeated: whatever else it says by
-- now stays.
do $$
declare
    written text := pg_get_functiondef('call_obstacle(call_log, bigint[], text[], timestamptz)'::regprocedure);
    keyed text;
begin
    keyed := replace(replace(written, ' to_number = $1.to_number', ' phone_key(to_number) = phone_key($1.to_number)'),
                     ' registry_check.phone = $1.to_number',
                     ' phone_key(registry_check.phone) = phone_key($1.to_number)');
    if length(keyed) - length(replace(keyed, 'phone_key($1.to_number)', '')) <> 3 * length('phone_key($1.to_number)') then
        raise exception 'call_obstacle is not the function that this migration knows';
    end if;
    execute keyed;
end
$$;
