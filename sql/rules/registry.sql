-- registry.sql: answers of do-not-call registries.  Read by outbound/rules/registry.py alone.
-- The claim (call_obstacle) and begin_dials read this table before each dial.  The statement that changes one writes
-- the audit too: of a file, one row for each chunk that brought something new.  A number stands for its
-- telephone, in whichever form it is written (phone_key).  One that was forgotten is never written again: triggers see to
-- that, and such a row counts as there already.

-- name: record_checks(phones, listed, checked_at, who, details)^
-- A chunk of what a registry answered; the newest check of a number counts.  Of two answers of one moment the one that
-- forbids does.  Calls that waited for such a check are due at once.
--
-- Moves    queued, due again after a while -> queued, due now
-- Returns  how many checks were `written`
-- Races    imports of the same numbers: sorted; a claim that holds a row is waited for
with given as (
    select min(phone) as phone, bool_or(is_listed) as is_listed
      from unnest(:phones::text[], :listed::boolean[]) as given (phone, is_listed)
     group by phone_key(phone)
), written as (
    insert into registry_check (phone, checked_at, is_listed)
    select phone, :checked_at, is_listed from given order by phone_key(phone)
    on conflict (phone_key(phone)) do update
       set checked_at = excluded.checked_at, is_listed = excluded.is_listed
     where excluded.checked_at > registry_check.checked_at
        or excluded.checked_at = registry_check.checked_at and excluded.is_listed and not registry_check.is_listed
    returning phone
), total as (
    select count(*) as written from written
), waiting as (
    select id
      from call_log
     where status = 'queued'
       and held_by = 'registry_check_old'
       and phone_key(to_number) = any(array(select phone_key(phone) from written))
     order by id
       for update
), moved as (
    update call_log
       set due_at = now(), held_by = null
      from waiting
     where call_log.id = waiting.id and status = 'queued' and held_by = 'registry_check_old'
    returning call_log.id
), audited as (
    insert into audit (who, action, scope, key, details)
    select :who, 'import_registry', 'account', '',
           :details::jsonb || jsonb_build_object('new', written, 'due', (select count(*) from moved))
      from total
     where written > 0
)
select written, case when exists (select from moved) then pg_notify('outbound_due', '') end as woken from total;
