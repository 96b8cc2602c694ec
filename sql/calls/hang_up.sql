-- hang_up.sql: calls that an operator wants an end of.  Read by outbound/calls/hang_up.py alone.

-- name: take_hang_ups(batch_max, only_id, relook_s, silent)
-- Choose calls that the carrier is to end now, and mark them so that no other scheduler asks it at once.  One
-- without a call_sid is taken when that comes; one that lives on is taken again.  Those of a `silent` account ('' is
-- TWILIO_ACCOUNT_SID) wait for the next round: it gave no answer in this one.
--
-- Returns  what the carrier must know
-- Races    other hosts skip the rows that are taken here
with wanted as (
    select id
      from call_log
     where hang_up is not null
       and status in ('initiated', 'ringing', 'in-progress')
       and (hang_up = 'completed' or status <> 'in-progress')
       and call_sid is not null
       and coalesce(hang_up_asked_at < now() - make_interval(secs => :relook_s), true)
       and coalesce(carrier_account, '') <> all(:silent::text[])
       and coalesce(id = :only_id::bigint, not exists (select from call_set_aside where call_id = id))
     order by id
     limit :batch_max
       for update skip locked
), taken as (
    update call_log
       set hang_up_asked_at = now()
      from wanted
     where call_log.id = wanted.id
    returning call_log.id, call_sid, hang_up, carrier_account
), done as (
    insert into duty (name) values ('hang_up') on conflict (name) do update set last_success_at = now()
)
select id, call_sid, hang_up, carrier_account from taken;

-- name: wanted_hang_ups(batch_max)
-- Returns  the calls of which one may have made take_hang_ups raise
select id
  from call_log
 where hang_up is not null
   and status in ('initiated', 'ringing', 'in-progress')
   and not exists (select from call_set_aside where call_id = id)
 order by id
 limit :batch_max;
