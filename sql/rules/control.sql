-- control.sql: pause, resume, drain, cancel and stop.  Read by outbound/rules/control.py alone.
-- A scope is everything (`account`), a business, a campaign, a from-number or a call, and its key.  Only outbound calls
-- are under control.

-- name: take_dispatch_lock()!
-- Keep every dispatcher from claiming until this transaction ends.  A claim that began earlier is committed by then, so
-- that what follows sees all of its calls.
select pg_advisory_xact_lock(hashtext('outbound.dispatch'), 'call_log'::regclass::int);

-- name: pause_scope(scope, key, reason)^
-- Nothing new is begun in this scope.  Under the dispatch lock.
--
-- Moves    claimed -> queued
-- Returns  how many `claims` were taken back; was it paused before, by an operator or the breaker (`was_paused`)
-- Races    a worker that begins to dial first wins, and has begun before this commits; one that comes later finds its
--          row no longer 'claimed'
-- Undo     resume_scope
with was as (
    select state from dial_control where scope = :scope and key = :key
), paused as (
    insert into dial_control (scope, key, state, state_reason, state_since)
    values (:scope, :key, 'paused', :reason, now())
    on conflict (scope, key) do update
       -- An operator who pauses what the breaker had paused has seen it: it becomes the operator's pause.
       set state = excluded.state, state_reason = excluded.state_reason, state_since = excluded.state_since,
           refused_calls = '{}'
), claim as (
    select id
      from call_log
     where status = 'claimed'
       and in_scope(call_log, :scope, :key)
     order by id
       for update
), taken_back as (
    update call_log set status = 'queued', overdue_at = null
      from claim
     where call_log.id = claim.id
    returning call_log.id
)
select count(*) as claims, coalesce((select state = 'paused' from was), false) as was_paused from taken_back;

-- name: resume_scope(scope, key)$
-- Resume the scope, whether an operator or the breaker paused it, and reset its counts of refusals and failures.
--
-- Returns  was it paused
with was as (
    select scope, key, state, troubles from dial_control where scope = :scope and key = :key for update
), resumed as (
    update dial_control
       set state = 'running', state_reason = null, state_since = now(), refused_calls = '{}', troubles = 0,
           hold_until = null, carrier_holds = 0, carrier_hold_until = null
      from was
     where dial_control.scope = was.scope and dial_control.key = was.key
)
select coalesce((select state = 'paused' from was), false);

-- name: cancel_call(call_id, reason, who)^
-- Moves    queued, claimed -> canceled
-- Returns  what the function cancel_call says: how many calls it closed and asks an end of, or a fault
-- Races    a worker that begins to dial first wins
select cancel_call(:call_id::bigint, :reason::text, :who::text)::text as answer;

-- name: pause_call(call_id, who, reason)^
-- Hold one call that is not in the air; with `who`, somebody wanted an end of it.
--
-- Moves    claimed -> queued
-- Returns  its `status` as it was, or as it is where it cannot be held any more; was it held before (`was_paused`)
-- Races    a worker that begins to dial first wins
-- Undo     resume_call
with call as (
    select id, status, paused_at is not null as was_paused from call_log where id = :call_id for update
), moved as (
    update call_log
       set status = 'queued', overdue_at = null, paused_at = now(),
           stopped_by = coalesce(:who::text, stopped_by),
           stop_reason = case when :who::text is null then stop_reason else :reason::text end
      from call
     where call_log.id = call.id and call.status in ('queued', 'claimed')
), stays as (
    update call_in_question
       set was_paused = true
      from call
     where call_in_question.call_id = call.id and answer is null
)
select status, was_paused from call;

-- name: resume_call(call_id)$
-- Let one call go again.  While the carrier is asked whether it was dialed after all, it stays held, and goes once that
-- was answered.
--
-- Returns  was it paused
with question as (
    update call_in_question set was_paused = false where call_id = :call_id and answer is null returning call_id
), moved as (
    update call_log
       set paused_at = null, stopped_by = null, stop_reason = null
     where id = :call_id
       and status = 'queued'
       and paused_at is not null
       and not exists (select from call_in_question where call_id = :call_id and answer is null)
    returning id
)
select exists (select from moved);

-- name: wake_dispatch()!
-- There may be something to claim, once this transaction commits.
select pg_notify('outbound_due', '');

-- name: begin_cancel_barrier(scope, key)$
-- Nothing new is begun in this scope for half a minute: while its calls are being canceled, batch by batch.  If that
-- stops half-way, the rest goes on by itself.
--
-- Returns  the newest call there is: what comes later is not meant
-- Undo     end_cancel_barrier
with held as (
    insert into dial_control (scope, key, hold_until)
    values (:scope, :key, now() + interval '30 s')
    on conflict (scope, key) do update set hold_until = greatest(dial_control.hold_until, excluded.hold_until)
)
select coalesce(max(id), 0) from call_log;

-- name: end_cancel_barrier(scope, key)!
-- The scope is dialed again: all its calls that were meant are canceled.
update dial_control set hold_until = null where scope = :scope and key = :key;

-- name: cancel_calls(scope, key, id, id_max, batch_max, reason, who)$
-- Close calls of this scope that nobody has begun to dial, up to call id_max; their rows say who wanted it, and why.
--
-- Moves    queued, claimed -> canceled
-- Returns  how many; none where nothing is left
-- Races    a worker that begins to dial first wins: its row is no longer 'claimed'
with waiting as (
    -- Lane by lane, or all that is left would be read for each batch.
    (select head.id
       from (select * from lane
              where :scope = 'account'
                 or :scope = 'business' and business_id::text = :key
                 or :scope = 'campaign' and campaign_id::text = :key
                 or :scope = 'number' and from_number = :key) as own
      cross join lateral (
            select id
              from call_log
             where business_id = own.business_id
               and coalesce(campaign_id, 0) = own.campaign_id
               and from_number = own.from_number
               and status = 'queued'
               and paused_at is null
               and id <= :id_max
             order by due_at, id
             limit :batch_max
      ) as head
      limit :batch_max)
    union all
    (select id
       from call_log
      where (status = 'claimed' or status = 'queued' and paused_at is not null)
        and id <= :id_max
        and in_scope(call_log, :scope, :key)
      limit :batch_max)
    union all
    select id from call_log where :scope = 'call' and id = :id
)
select cancel_waiting_calls(array(select id from waiting limit :batch_max), :reason, :who) as canceled;

-- name: request_hang_ups(scope, key, hang_up, reason, who)$
-- Mark for a hang-up at the carrier the calls of this scope that are in the air; `canceled` leaves alone what was answered.
-- Their rows say who wanted it first, and why.
--
-- Moves    nothing: the carrier's word does
-- Returns  how many
with live as (
    select id
      from call_log
     where status in ('initiated', 'ringing', 'in-progress')
       and (:hang_up = 'completed' or status <> 'in-progress')
       and direction = 'outbound'
       and in_scope(call_log, :scope, :key)
     order by id
       for update
), moved as (
    update call_log
       set hang_up = case when hang_up = 'completed' then hang_up else :hang_up end,
           hang_up_asked_at = null,
           stopped_by = case when hang_up in (:hang_up, 'completed') then stopped_by else :who end,
           stop_reason = case when hang_up in (:hang_up, 'completed') then stop_reason else :reason end,
           paused_at = case  -- if it comes back unsent, it stays
               when :scope = 'call' and :hang_up = 'completed' and call_sid is null then now()
               else paused_at
           end
      from live
     where call_log.id = live.id and status in ('initiated', 'ringing', 'in-progress')
    returning call_log.id
)
select count(*) as calls from moved;

-- name: count_live(scope, key)$
-- Returns  how many calls of this scope are claimed or in the air
select count(*)
  from call_log
 where status in ('claimed', 'initiated', 'ringing', 'in-progress')
   and direction = 'outbound'
   and in_scope(call_log, :scope, :key);

-- name: count_to_cancel(scope, key, id)^
-- Returns  how many calls of this scope wait, ring or are being dialed, and are talked in
select count(*) filter (where status in ('queued', 'claimed')) as waiting,
       count(*) filter (where status in ('initiated', 'ringing')) as ringing,
       count(*) filter (where status = 'in-progress') as talking
  from (select status
          from call_log
         where :scope <> 'call'
           and status in ('queued', 'claimed', 'initiated', 'ringing', 'in-progress')
           and direction = 'outbound'
           and in_scope(call_log, :scope, :key)
        union all
        select status from call_log where :scope = 'call' and id = :id) as call;

-- name: list_control(account_rate, business_id)
-- Returns  everything, each business and number that calls were made of or that is ruled, and each campaign that is limited,
--          capped, paused, held or weighed, or has calls in the air: of all, or of one business and its campaigns
with asked as (
    select array_agg(own.scope) as scopes, array_agg(own.key) as keys
      from (select control.scope, control.key
              from dial_control as control
             where control.scope in ('account', 'business', 'number')
            union
            select ruled.scope, ruled.key from ruled_scopes() as ruled
            union
            select 'campaign', live.campaign_id::text from calls_in_limits() as live) as own
)
select room.scope, room.key,
       case room.scope when 'business' then business.name when 'campaign' then campaign.name end as name,
       coalesce(time_zone.name, 'UTC') as time_zone,
       room.state, room.state_reason, room.state_since, room.weight, room.calls_per_second,
       room.rate as rate_now, case when room.rate is not null then room.tokens end as tokens, room.live_max,
       room.live, room.unknown, room.refused, room.troubles,
       case when room.hold_until > now() then room.hold_until end as hold_until,
       calls_per_hour, calls_per_day, minutes_per_hour, minutes_per_day, room.spend_code, room.spend_until
  from asked
 cross join lateral room_of_scopes(asked.scopes, asked.keys, :account_rate) as room
  left join spend_cap on spend_cap.scope = room.scope and spend_cap.key = room.key
  left join business on room.scope = 'business' and business.id::text = room.key
  left join lateral (
       select *
         from campaign as named
        where room.scope = 'campaign' and named.id = scope_id(room.key)
        limit 1  -- one look by the key for each, whatever the planner takes their number for
  ) as campaign on true
  left join lateral (
       select business.time_zone as name
         from business
        where id = coalesce(campaign.business_id, scope_business(room.scope, room.key))
  ) as time_zone on true
 where (room.scope <> 'campaign' or campaign.id is not null)
   and (:business_id::bigint is null
        or campaign.business_id = :business_id
        or room.scope = 'business' and room.key = :business_id::text)
 order by array_position(array['account', 'business', 'campaign', 'number'], room.scope), length(room.key), room.key;
