-- dispatch.sql: take what is due, within every limit.  Read by outbound/dispatch.py alone.

-- name: take_turn()$
-- One dispatcher claims at a time, until its transaction ends: a bound that several count and then act upon is none.
--
-- Returns  false where another dispatcher has its turn
select pg_try_advisory_xact_lock(hashtext('outbound.dispatch'));

-- name: claim_due_calls(batch_max, claims_per_thread, claim_s, worker_silent_s)
-- Take what is due, business by business in turn, as many as the living worker threads can soon begin to dial.
-- Few claims are outstanding at any time: order and limits are decided late, and no claim grows old in the broker.
-- The cost is one short index read per business, whatever waits behind it.
--
-- Moves    queued -> claimed
-- Returns  one row per call taken; none where no worker is alive
-- Races    other dispatchers wait for their turn (take_turn); a row that somebody holds is skipped
-- Undo     release_claims; release_overdue_claims in cleanup.sql
with room as (
    select greatest(0, least(
               :batch_max::bigint,
               :claims_per_thread::bigint
               * (select coalesce(sum(threads), 0)
                    from worker
                   where seen_at > now() - make_interval(secs => :worker_silent_s))
               - (select count(*) from call_log where status = 'claimed')
           ))::bigint as free
), due as (
    select next.id, row_number() over (partition by business.id order by next.due_at, next.id) as turn
      from room
     cross join business
     cross join lateral (
           select id, due_at
             from call_log
            where business_id = business.id and status = 'queued' and due_at <= now()
            order by due_at, id
            limit room.free
     ) as next
     where business.voice_url is not null or business.twiml is not null
), chosen as (
    select id from due order by turn, random() limit (select free from room)
), locked as (
    -- As arrays: the planner takes these for few, and reads the table by its key however large it is.
    select id from call_log where id = any(array(select id from chosen)) and status = 'queued' for update skip locked
)
update call_log
   set status = 'claimed',
       fence = fence + 1,
       overdue_at = now() + make_interval(secs => :claim_s)
 where id = any(array(select id from locked)) and status = 'queued'
returning id;

-- name: release_claims(call_ids)!
-- Give back claims whose nudge could not be sent.
--
-- Moves    claimed -> queued
-- Races    a worker that begins to dial first wins: its row is no longer 'claimed'
update call_log
   set status = 'queued', overdue_at = null
 where id = any(:call_ids::bigint[]) and status = 'claimed';

-- name: worker_seen(worker_id, threads)!
-- A worker process says that it is alive, and how many calls it can dial at once.
insert into worker (id, threads)
values (:worker_id, :threads)
on conflict (id) do update set threads = excluded.threads, seen_at = now();

-- name: worker_gone(worker_id)!
-- A worker process stops; those that were killed leave a row, which is swept after an hour.
delete from worker where id = :worker_id or seen_at < now() - interval '1 hour';
