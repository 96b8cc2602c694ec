-- cleanup.sql: what happens to rows whose deadline has passed.  Read by outbound/calls/cleanup.py and checks/verify.py.
-- Of live calls it closes those without a call_sid alone; of one that has it the carrier is asked (reconcile.sql).
-- One statement per rule; each writes its own success, so that a rule that fails shows by its age.

-- `only_id` is NULL, or where a statement raised, one call: then each is tried by itself (cleanup.py).

-- name: release_overdue_claims(batch_max, only_id)
-- Take back calls whose nudge got lost; nobody had begun to dial them.
--
-- Moves    claimed -> queued
-- Returns  one row per call taken back
-- Races    a worker that begins to dial first wins: its row is no longer 'claimed'
-- Undo     nothing to undo
with overdue as (
    select id
      from call_log
     where status = 'claimed' and overdue_at < now()
       and coalesce(id = :only_id::bigint, not exists (select from call_set_aside where call_id = id))
     order by overdue_at
     limit :batch_max
       for update skip locked
), moved as (
    update call_log
       set status = 'queued', overdue_at = null
      from overdue
     where call_log.id = overdue.id and status = 'claimed'
    returning call_log.id
), counted as (
    insert into counter (name, label, value)
    select 'cleanup', 'claimed', count(*) from moved having count(*) > 0
    on conflict (name, label, slot) do update set value = counter.value + excluded.value
), done as (
    insert into duty (name) values ('claimed') on conflict (name) do update set last_success_at = now()
)
select id from moved;

-- name: close_without_call_sid(batch_max, only_id, grace_s, looks_min)
-- Close calls that never got a call_sid, whatever the carrier does: grace_s after their deadline, in which reconcile
-- has asked for them.  Where it got fewer than looks_min answers it goes on asking, and may still learn the truth.
--
-- Moves    initiated, ringing, in-progress -> failed
-- Returns  one row per call closed
-- Races    a callback that adopts the call first wins: the row has its call_sid
-- Undo     a signed callback that comes after all adopts the call (events.sql)
with overdue as (
    select id
      from call_log
     where status in ('initiated', 'ringing', 'in-progress')
       and call_sid is null
       and overdue_at < now() - make_interval(secs => :grace_s)
       and coalesce(id = :only_id::bigint, not exists (select from call_set_aside where call_id = id))
     order by overdue_at
     limit :batch_max
       for update skip locked
), moved as (
    update call_log
       set status = 'failed',
           error_code = 'no_call_sid',
           error_message = 'No call_sid came within '
                           || coalesce(case
                                           when isfinite(dialed_at)
                                               then round(extract(epoch from now() - dialed_at))::text || ' s'
                                       end,
                                       'its deadline')
                           || '; whether the phone rang is unknown.',
           ended_at = now(),
           overdue_at = case when looks < :looks_min then now() end
      from overdue
     where call_log.id = overdue.id and call_sid is null and status in ('initiated', 'ringing', 'in-progress')
    returning call_log.id
), counted as (
    insert into counter (name, label, value)
    select name, label, (select count(*) from moved)
      from (values ('cleanup', 'no_call_sid'), ('ended', 'failed')) as counted (name, label)
     where exists (select from moved)
    on conflict (name, label, slot) do update set value = counter.value + excluded.value
), done as (
    insert into duty (name) values ('no_call_sid') on conflict (name) do update set last_success_at = now()
)
select id from moved;

-- name: renew_lead_nudges(batch_max, only_id, lead_s)
-- Find ended calls whose lead was not made, and give them until lead_s from now.
--
-- Moves    nothing
-- Returns  the call_sid of each, to be nudged again
-- Races    a lead job that is at work: making a lead twice makes one lead
with overdue as (
    select id
      from call_log
     where overdue_at < now()
       and status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
       and not call_is_in_doubt(status, error_code)  -- reconcile asks how it ended
       and coalesce(id = :only_id::bigint, not exists (select from call_set_aside where call_id = id))
     order by overdue_at
     limit :batch_max
       for update skip locked
), renewed as (
    -- A final row that nothing can be made from has no deadline.
    update call_log
       set overdue_at = case
               when call_sid is not null and lead_id is null then now() + make_interval(secs => :lead_s)
           end
      from overdue
     where call_log.id = overdue.id
    returning call_log.id, call_sid, call_log.overdue_at
), counted as (
    insert into counter (name, label, value)
    select 'cleanup', 'no_lead', count(*) from renewed having count(*) > 0
    on conflict (name, label, slot) do update set value = counter.value + excluded.value
), done as (
    insert into duty (name) values ('no_lead') on conflict (name) do update set last_success_at = now()
)
select id, call_sid from renewed where overdue_at is not null;

-- name: cancel_calls_of_ended_campaigns(batch_max, only_id)
-- Cancel what an ended campaign leaves in the queue, whatever else it waits for: its time, a pause, or room in a limit.
--
-- Moves    queued -> canceled
-- Returns  one row per call canceled
-- Races    the claim, which does the same where such a call is due: the first to lock the row has it
-- Undo     none; `outbound call retry` makes one again, once its campaign ends later
with waiting as (
    select call.id
      from campaign
     cross join lateral (
           select call_log.id
             from call_log
            where call_log.campaign_id = campaign.id
              and call_log.status = 'queued'
              and coalesce(call_log.id = :only_id::bigint,
                           not exists (select from call_set_aside where call_id = call_log.id))
            limit :batch_max
              for update skip locked
     ) as call
     where campaign.ends_at <= now()
       and not exists (select from dialing_stop where cause = 'recovery')  -- what was dialed is being looked for
     limit :batch_max
), moved as (
    update call_log
       set status = 'canceled',
           error_code = 'campaign_ended',
           error_message = refusal_sentence('campaign_ended', call_log),
           ended_at = now(),
           held_by = null
      from waiting
     where call_log.id = waiting.id and status = 'queued'
    returning call_log.id
), counted as (
    insert into counter (name, label, value)
    select name, label, (select count(*) from moved)
      from (values ('cleanup', 'campaign_ended'), ('ended', 'canceled'), ('refused_by_rule', 'campaign_ended'))
           as counted (name, label)
     where exists (select from moved)
     order by name, label
    on conflict (name, label, slot) do update set value = counter.value + excluded.value
), done as (
    insert into duty (name) values ('campaign_ended') on conflict (name) do update set last_success_at = now()
)
select id from moved;

-- name: suspect_calls(batch_max)
-- Returns  the calls of which one may have made a rule raise: overdue for longest, or in the queue of an ended campaign
(select id
   from call_log
  where overdue_at < now()
    and not exists (select from call_set_aside where call_id = id)
  order by overdue_at
  limit :batch_max)
union all
(select call.id
   from campaign
  cross join lateral (
        select call_log.id
          from call_log
         where call_log.campaign_id = campaign.id
           and call_log.status = 'queued'
           and not exists (select from call_set_aside where call_id = call_log.id)
         limit :batch_max
  ) as call
  where ends_at <= now()
  limit :batch_max);
