-- dispatch.sql: take what is due, within every limit.  Read by outbound/calls/dispatch.py alone.

-- name: is_anything_due()$
-- Is there a call that a claim could look at?  One step through the index for each lane, however many calls wait in it.
select exists (
           select
             from lane
            cross join lateral (
                  select due_at
                    from call_log
                   where business_id = lane.business_id
                     and coalesce(campaign_id, 0) = lane.campaign_id
                     and from_number = lane.from_number
                     and status = 'queued'
                     and paused_at is null
                   order by due_at, id
                   limit 1
            ) as head
            where due_at <= now()
       );

-- name: take_turn()$
-- One dispatcher claims at a time, until its transaction ends: several that count at the same time would pass the bound together.
-- The lock is this table's: another schema of the same database has dispatchers of its own.
--
-- A claim that a crash of the server forgets was never begun: its commit need not wait for the disk.
--
-- Returns  false where another dispatcher has the dispatch lock, or none may have it: the database was restored
select pg_try_advisory_xact_lock(hashtext('outbound.dispatch'), 'call_log'::regclass::int)
       and not exists (select from dialing_stop where cause = 'recovery')
 where set_config('synchronous_commit', 'off', true) is not null;

-- name: claim_due_calls(batch_max, claims_per_thread, claim_s, worker_silent_s, ring_s, late_s, heads_min, account_rate)
-- Take what is due and may be dialed, as many as the limits and the living worker threads allow.
--
-- Calls wait in lanes: one per business, campaign and from-number.  Only lanes that have room are looked at
-- (lanes_with_room), and of each only its head (judged_heads), so that the cost does not grow with what waits.  What
-- stands in a head's own way takes it out of the way: closed, or due later.  The rest is shared out (calls_to_claim).
--
-- Moves    queued -> claimed; queued -> canceled where something final stands in the way
-- Returns  one row per call moved, with its status; none where no worker is alive
-- Races    other dispatchers wait for the dispatch lock (take_turn); a row that somebody holds is skipped, and one that was
--          given a later time meanwhile is left
-- Undo     release_claims; release_overdue_claims in cleanup.sql
with decided as materialized (
    select *
      from calls_to_claim(:batch_max::bigint, :claims_per_thread::bigint, :worker_silent_s::float8,
                          :account_rate::float8, :heads_min::bigint, :claim_s::float8, :ring_s::float8)
), locked as (
    -- One look by the key for each, whatever the planner takes the table's size for.  What was decided travels along: a
    -- join among these, which the planner takes for few, would cost the square of their number.
    select decided.*
      from decided
     cross join lateral (
           select
             from call_log
            where call_log.id = decided.id and status = 'queued' and paused_at is null and due_at <= now()
              for update skip locked
     ) as still_queued
), moved as (
    update call_log
       set status = case when is_final then 'canceled' when code is null then 'claimed' else status end,
           fence = fence + case when code is null then 1 else 0 end,
           overdue_at = case when code is null then now() + make_interval(secs => :claim_s) end,
           dial_by = case
               when code is null and is_paced then clock_timestamp() + make_interval(secs => :late_s)
           end,
           due_at = case when code is null or is_final then due_at else until end,
           held_by = case when not is_final then code end,
           error_code = case when is_final then code else error_code end,
           error_message = case when is_final then refusal_sentence(code, call_log) else error_message end,
           ended_at = case when is_final then now() end
      from locked
     where call_log.id = locked.id and status = 'queued'
    returning locked.*, status
), taken as (
    select * from moved where status = 'claimed'
), spent as (
    insert into dial_control (scope, key, tokens, refilled_at, served, served_floor)
    select scope, key, coalesce(tokens - calls, 0), clock_timestamp(), served, served_floor
      from (select 'account' as scope, '' as key, count(*) as calls, min(account_tokens) as tokens, 0 as served,
                   max(business_tag) as served_floor
              from taken
            having count(*) > 0
            union all
            select 'business', business_id::text, count(*), min(business_tokens),
                   max(business_tag) + 1 / min(business_weight), max(campaign_tag)
              from taken
             group by business_id
            union all
            select 'campaign', campaign_key, count(*), min(campaign_tokens),
                   max(campaign_tag) + 1 / min(campaign_weight), 0
              from taken
             group by campaign_key
            union all
            select 'number', from_number, count(*), min(number_tokens), 0, 0
              from taken
             where number_counts
             group by from_number) as spending
     order by scope, key
    on conflict (scope, key) do update
       set tokens = excluded.tokens,
           refilled_at = excluded.refilled_at,
           served = greatest(finite_service(dial_control.served), excluded.served),
           served_floor = greatest(finite_service(dial_control.served_floor), excluded.served_floor)
), counted as (
    insert into counter (name, label, value)
    select name, label, count(*)
      from (select case when status = 'canceled' then 'refused_by_rule' else 'held' end as name, code as label
              from moved
             where code is not null
            union all
            select 'ended', 'canceled' from moved where status = 'canceled') as news
     group by name, label
     order by name, label
    on conflict (name, label, slot) do update set value = counter.value + excluded.value
)
select id, status from moved;

-- name: set_aside_odd_heads(batch_max, heads_min, claim_s, ring_s)
-- The claim raised: try each call that it may have looked at by itself, and set aside those that raise.
--
-- Moves    queued -> failed, where the row can be moved at all
-- Returns  the calls that were set aside
-- Races    other dispatchers wait for the dispatch lock (take_turn); a row that somebody holds is skipped
-- Undo     none: what is mended is put in the queue again, as another call
with head as materialized (
    select head.id
      from lane
     cross join (select count(*) as lanes from lane) as counted
     cross join lateral due_heads(lane.business_id, lane.campaign_id, lane.from_number,
                                  least(greatest(:heads_min::bigint, :batch_max::bigint),
                                        1 + greatest(400, 2 * :batch_max::bigint) / lanes)) as head
), odd as materialized (
    select head.id, fault.state, fault.message
      from head
     cross join lateral claim_fault(head.id, :claim_s::float8, :ring_s::float8) as fault
)
select id from odd where set_aside(id, 'claim', state, message);

-- name: release_claims(call_ids)!
-- Give back claims whose nudge could not be sent.
--
-- Moves    claimed -> queued
-- Races    a worker that begins to dial first wins: its row is no longer 'claimed'
update call_log
   set status = 'queued', overdue_at = null
 where id = any(:call_ids::bigint[]) and status = 'claimed';

-- name: say_broker_works()!
-- A dispatcher whose nudges get through says so for as long as its connection lasts: the others, from whose hosts the
-- broker cannot be reached, must not say that nothing is dialed.
select pg_advisory_lock_shared(hashtext('outbound.broker_works'), 'call_log'::regclass::int);

-- name: end_broker_stop()!
-- Nudges get through again.
--
-- Moves    a row out of dialing_stop
-- Races    who says the opposite waits until the last dispatcher whose nudges get through is gone (say_broker_works)
delete from dialing_stop where cause = 'broker';

-- name: broker_fails(code, reason, away_s, told_after_s)!
-- A dispatcher's nudges do not get through: count it, and say that nothing is dialed where that lasts.
--
-- Moves    a row into dialing_stop, unless a dispatcher is there whose nudges get through
-- Undo     end_broker_stop
with counted as (
    insert into counter (name, label, value)
    values ('broker_failure', :code, 1)
    on conflict (name, label, slot) do update set value = counter.value + excluded.value
)
insert into dialing_stop (cause, since, reason)
select 'broker', now() - make_interval(secs => :away_s), :reason
 where :away_s >= :told_after_s::float8
   and pg_try_advisory_xact_lock(hashtext('outbound.broker_works'), 'call_log'::regclass::int)
on conflict (cause) do update set reason = excluded.reason where dialing_stop.reason <> excluded.reason;

-- name: worker_seen(worker_id, threads, accounts)!
-- A worker process says that it is alive, how many threads it dials with, and of which of the carrier's accounts it has the
-- credentials.
insert into worker (id, threads, accounts)
values (:worker_id, :threads, :accounts::text[])
on conflict (id) do update set threads = excluded.threads, accounts = excluded.accounts, seen_at = now();

-- name: worker_gone(worker_id)!
-- A worker process stops; those that were killed leave a row, which is swept after an hour.
delete from worker where id = :worker_id or seen_at < now() - interval '1 hour';
