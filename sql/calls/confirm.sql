-- confirm.sql: live calls whose last callback may be lost.  Read by outbound/calls/confirm.py alone.

-- name: take_calls_to_confirm(confirm_s, batch_max, silent)
-- Choose the live calls of which the carrier was not asked for confirm_s, and mark them so that nobody else asks at once.
-- Where there is one, those of which it was not asked for a third of that come too, so that one list serves them all;
-- where callbacks may have been lost since, all of them are due.  Those of a `silent` account ('' is TWILIO_ACCOUNT_SID)
-- wait: it gave no answer in this round.
--
-- Moves    nothing
-- Returns  what is known of each, whom nobody asked about for longest first
-- Races    other hosts skip the rows that are taken here
with live as (
    select id,
           -- A moment that is yet to come, in a row of somebody's hand, is now.
           least(coalesce(looked_at, dialed_at, created_at, '-infinity'), now()) as known_at,
           coalesce(looked_at, dialed_at, created_at, '-infinity') < now() - make_interval(secs => :confirm_s)
           or coalesce(coalesce(looked_at, dialed_at, created_at) < lost_until, false)
           or coalesce(looked_at, dialed_at, created_at) > now() as is_due
      from call_log
      left join web_presence on only_row
     where status in ('initiated', 'ringing', 'in-progress') and call_sid is not null
       and coalesce(carrier_account, '') <> all(:silent::text[])
), chosen as (
    select call_log.id, known_at
      from live
     inner join call_log on call_log.id = live.id
     where exists (select from live where is_due)
       and (is_due or known_at < now() - make_interval(secs => :confirm_s / 3.0))
       -- Once more: another host may have taken it meanwhile, or a callback may have ended it.
       and status in ('initiated', 'ringing', 'in-progress')
       and least(coalesce(looked_at, dialed_at, created_at, '-infinity'), now()) = known_at
     order by known_at, call_log.dialed_at, call_log.id
     limit :batch_max
       for update of call_log skip locked
), taken as (
    update call_log
       set looked_at = now()
      from chosen
     where call_log.id = chosen.id
    returning call_log.id, call_sid, status, direction, from_number, to_number, dialed_at, ended_at, known_at,
              carrier_account, overdue_at < now() as is_overdue
)
select id, call_sid, status, direction, from_number, to_number, carrier_account,
       case when dialed_at is not null then least(greatest(dialed_at, '2000-01-01'), now()) end as dialed_at,
       case when ended_at is not null then least(greatest(ended_at, '2000-01-01'), now()) end as ended_at, is_overdue
  from taken
 order by known_at, dialed_at, id;

-- name: ask_again(call_ids, since_s)!
-- These could not be asked about, or the answer settled nothing: it is as if they had been asked about since_s ago.
--
-- Moves    nothing
update call_log
   set looked_at = now() - make_interval(secs => :since_s)
 where id = any(:call_ids::bigint[]) and status in ('initiated', 'ringing', 'in-progress');

-- name: web_is_here(silent_s)!
-- A web process can write here.  Where none could for silent_s, callbacks may be lost: the carrier tries for 15 s.
insert into web_presence as presence default values
on conflict (only_row) do update
   set lost_until = case
           when presence.seen_at < now() - make_interval(secs => :silent_s) then now() else presence.lost_until
       end,
       seen_at = now();
