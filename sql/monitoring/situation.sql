-- situation.sql: what is going on at this moment, and what to do about it.  Read by outbound/monitoring/situation.py alone.

-- name: look_at_now(business_id, campaign_id, overdue_s, worker_silent_s, scheduler_silent_s, claim_s, ring_s, claims_per_thread, account_rate)
-- What keeps calls from being dialed, and the first call that waits: of everything, or of a business or a campaign.
-- The cost grows with the lanes, not with what waits in them.
--
-- Returns  (code, kind, sentence, since, until, holder), what matters most first, and at least one row.  `kind` is ok,
--          broken (somebody must mend it), held (it ends by itself) or on_purpose (a person wants it so); `holder` is
--          what the first call waits for: the scope whose limit or pause it is, `installation`, or else `call`
with own_lane as materialized (
    select array(
               select lane from lane
                where coalesce(business_id = :business_id, true) and coalesce(campaign_id = :campaign_id, true)
           ) as lanes
), blocker as materialized (
    select * from dialing_blockers(:worker_silent_s, :scheduler_silent_s)
), scope as materialized (
    select scope.* from own_lane cross join lateral situation_of_scopes(lanes) as scope
), next_call as materialized (
    select next_call.* from own_lane cross join lateral first_waiting_call(lanes) as next_call
), why as materialized (
    select next_call.id, reason.*,
           case
               when code in ('no_worker', 'no_scheduler', 'workers_busy', 'trial', 'account_missing')
                   then 'installation'
               else coalesce(details ->> 'scope', split_part(details ->> 'paused', ' ', 1), 'call')
           end as holder
      from next_call
     cross join lateral why_not_dialed(next_call.id, :claim_s::float8, :ring_s::float8, :worker_silent_s::float8,
                                       :claims_per_thread::integer, :account_rate::float8,
                                       :scheduler_silent_s::float8) as reason
     where next_call.due_at <= now() - make_interval(secs => :overdue_s::float8)
), paused_call as materialized (
    select count(*) as calls, min(id) as id
      from call_log
     where status = 'queued' and paused_at is not null
       and coalesce(business_id = :business_id, true)
       and coalesce(campaign_id = :campaign_id, true)
), live as materialized (
    select count(*) as calls
      from call_log
     where status in ('claimed', 'initiated', 'ringing', 'in-progress')
       and direction = 'outbound'
       and coalesce(business_id = :business_id, true)
       and coalesce(campaign_id = :campaign_id, true)
), shown (place, code, kind, sentence, since, until, holder) as (
    select place, code, kind, sentence, since, until, null from blocker
    union all
    -- What the first call waits for that no worker, limit or cycle will change.
    select 10, why.code,
           case
               when why.code in ('nothing_to_say', 'account_missing') then 'broken'
               when why.code = 'not_started' then 'on_purpose'
               else 'held'
           end,
           'The next call, ' || why.id || ', waits: ' || why.sentence, null, why.until, why.holder
      from why
     where not exists (select from blocker)
       and why.code not in ('due', 'workers_busy', 'pace', 'live_max', 'claimed', 'in_the_air', 'ended')
    union all
    select 11, case when next_call.due_at <= now() or why.id is not null then 'dialing' else 'in_the_air' end, 'ok',
           case
               when next_call.due_at <= now()
                   then 'Calls are due and are dialed in their turn; claimed or in the air: ' || live.calls || '.'
                        || case when why.code = 'due' then '' else coalesce(' ' || why.sentence, '') end
               else 'Calls are claimed or in the air: ' || live.calls || '; no other one is due.'
           end,
           null, null, coalesce(why.holder, 'call')
      from live
      left join next_call on true
      left join why on true
     where not exists (select from blocker)
       and (why.code in ('due', 'workers_busy', 'pace', 'live_max')
            or why.code is null and (next_call.due_at <= now() or live.calls > 0))
    union all
    select 12, coalesce(held_by, 'not_due'), case when held_by is null then 'ok' else 'held' end,
           case
               when held_by = 'outside_window'
                   then 'The next call may not be dialed before ' || moment_text(due_at, zone)
                        || ': it is outside the calling hours at the callee''s.'
               else 'The next call is due ' || moment_text(due_at, zone) || '.'
           end,
           null, due_at, null
      from next_call
     where due_at > now()
    union all
    select place, code, kind, sentence, since, until, null from scope
    union all
    select 15, 'no_destination', 'broken',
           format('%s may call nobody, as it has no region and no number: `outbound business set %s --region ...`.',
                  'Business ' || id || ' (' || name || ')', id),
           null, null, null
      from stranded_businesses(:business_id)
    union all
    select 16, 'paused_calls', 'on_purpose',
           format('Calls that are paused one by one: %s, the first is %s; `outbound resume call %2$s` lets it go.',
                  calls, id),
           null, null, null
      from paused_call
     where calls > 0
    union all
    select 20, 'idle', 'ok', 'Nothing waits to be dialed, and no call is in the air.', null, null, null
      from live
     where live.calls = 0
       and not exists (select from next_call)
       and not exists (select from blocker)
       and not exists (select from scope where code = 'paused')
       and (select calls from paused_call) = 0
)
select code, kind, sentence, since, until, holder from shown order by place asc, since desc nulls last, sentence asc;

-- name: find_blockers(worker_silent_s, scheduler_silent_s)
-- Returns  the facts that keep every call of every business from being dialed
select code, kind, sentence, since, until from dialing_blockers(:worker_silent_s, :scheduler_silent_s) order by place;
