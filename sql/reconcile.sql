-- reconcile.sql: calls that we are unsure of.  Read by outbound/reconcile.py alone.

-- name: take_calls_to_ask_about(batch_max, relook_s)
-- Choose the overdue calls about which the carrier is to be asked now, and mark them so that nobody else asks at once.
--
-- Moves    nothing
-- Returns  what is known of each; `looks` counts this look
-- Races    other hosts skip the rows that are taken here
with overdue as (
    select id
      from call_log
     where overdue_at < now()
       and status in ('initiated', 'ringing', 'in-progress')
       and (looked_at is null or looked_at < now() - make_interval(secs => :relook_s))
     order by overdue_at
     limit :batch_max
       for update skip locked
)
update call_log
   set looked_at = now(), looks = looks + 1
  from overdue
 where call_log.id = overdue.id
returning call_log.id, call_sid, direction, from_number, to_number, dialed_at, looks;

-- name: still_unbound(call_sids)
-- Returns  those of the call_sids that no call has yet
select call_sid
  from unnest(:call_sids::text[]) as candidate (call_sid)
 where not exists (select from call_log where call_log.call_sid = candidate.call_sid);

-- name: close_unfound(call_id, looks_min)!
-- The carrier, asked more than once, knows of no such call: nothing rang, or nothing that we will ever hear of.
--
-- Moves    initiated, ringing, in-progress -> failed
-- Races    a callback that adopts the call first wins: the row has its call_sid
-- Undo     a signed callback that comes after all adopts the call
with moved as (
    update call_log
       set status = 'failed',
           error_code = 'no_call_sid',
           error_message = 'No call_sid came, and the carrier, asked ' || looks || ' times, knows of no such call.',
           ended_at = now(),
           overdue_at = null
     where id = :call_id and call_sid is null and looks >= :looks_min
       and status in ('initiated', 'ringing', 'in-progress')
    returning status
)
insert into counter (name, label, slot, value)
select counted.name, counted.label, pg_backend_pid() % 8, 1
  from moved
 cross join lateral (values ('ended', moved.status), ('reconcile', 'unfound')) as counted (name, label)
on conflict (name, label, slot) do update set value = counter.value + 1;

-- name: close_for_a_human(call_id, call_sids)!
-- Several calls at the carrier could be this one: a person must look.
--
-- Moves    initiated, ringing, in-progress -> failed
-- Undo     a signed callback that names this call adopts it
with moved as (
    update call_log
       set status = 'failed',
           error_code = 'several_candidates',
           error_message = 'Several calls at the carrier could be this one: '
                           || array_to_string(:call_sids::text[], ', ') || '.',
           ended_at = now(),
           overdue_at = null
     where id = :call_id and call_sid is null and status in ('initiated', 'ringing', 'in-progress')
    returning status
)
insert into counter (name, label, slot, value)
select counted.name, counted.label, pg_backend_pid() % 8, 1
  from moved
 cross join lateral (values ('ended', moved.status), ('reconcile', 'several_candidates')) as counted (name, label)
on conflict (name, label, slot) do update set value = counter.value + 1;

-- name: close_disowned(call_id, looks_min)!
-- The carrier, asked more than once for this call_sid, says that it has no such call.
--
-- Moves    initiated, ringing, in-progress -> failed
with moved as (
    update call_log
       set status = 'failed',
           error_code = 'unknown_to_carrier',
           error_message = 'The carrier, asked ' || looks || ' times, knows of no call with this call_sid.',
           ended_at = now(),
           overdue_at = case when lead_id is null then now() end
     where id = :call_id and call_sid is not null and looks >= :looks_min
       and status in ('initiated', 'ringing', 'in-progress')
    returning status
)
insert into counter (name, label, slot, value)
select counted.name, counted.label, pg_backend_pid() % 8, 1
  from moved
 cross join lateral (values ('ended', moved.status), ('reconcile', 'unknown_to_carrier')) as counted (name, label)
on conflict (name, label, slot) do update set value = counter.value + 1;

-- name: reconcile_done()!
-- A round of reconcile came to its end.
insert into duty (name) values ('reconcile') on conflict (name) do update set last_success_at = now();
