-- What keeps a call that waits from being dialed where no rule and no limit does (why_not_dialed): no process that could,
-- every thread busy, or the calls before it in its lane.
create or replace function why_by_processes(
    call_id bigint, worker_silent_s float8, claims_per_thread integer, scheduler_silent_s float8
)
returns table (place integer, code text, sentence text, until timestamptz, details jsonb)
language sql stable
as $$
    with threads as (
        select coalesce(sum(worker.threads), 0) as alive,
               (select count(*) from call_log where status = 'claimed') as claimed
          from worker
         where seen_at > now() - make_interval(secs => worker_silent_s)
    )
    select 15, 'no_worker', 'No worker is alive: start `outbound worker`.', null::timestamptz, '{}'::jsonb
      from threads
     where alive = 0
    union all
    select 16, 'no_scheduler', scheduler_sentence(scheduler_silent_s), null, '{}'
     where scheduler_sentence(scheduler_silent_s) is not null
    union all
    select 17, 'workers_busy',
           format('All %s worker threads are busy: %s calls are claimed for them already.', alive, claimed), null,
           jsonb_build_object('threads', alive, 'claimed', claimed)
      from threads
     where alive * claims_per_thread <= claimed
    union all
    select 18, 'due',
           'It is due and will be taken in its turn: ' || before.calls || ' due calls are before it in its lane.',
           null, jsonb_build_object('before', before.calls)
      from call_log as waiting
     cross join lateral (
           select count(*) as calls
             from call_log as other
            where other.business_id = waiting.business_id
              and coalesce(other.campaign_id, 0) = coalesce(waiting.campaign_id, 0)
              and other.from_number = waiting.from_number
              and other.status = 'queued'
              and other.paused_at is null
              and (other.due_at, other.id) < (waiting.due_at, waiting.id)
     ) as before
     where waiting.id = $1 and waiting.status = 'queued'
$$;
