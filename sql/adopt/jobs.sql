-- jobs.sql: take over the old runs and their waiting jobs, and give them back.
-- Read by outbound/adopt/jobs.py alone.

-- name: adopt_runs(ids)!
-- Make a campaign of each run of which jobs wait, paused until an operator resumes it.
--
-- Moves    (nothing) -> campaign
-- Undo     give_back_jobs
with run as materialized (
    select old_run.id, own.new_id as business_id, 'run ' || old_run.id as name,
           least(greatest(coalesce(concurrency, 3), 0), 100000)::integer as live_max,
           case
               when own.new_id is null then 'no_business'
               when cancel_requested
                    or status in ('cancelled', 'canceled', 'failed', 'completed', 'stopping', 'stopped')
                   then 'run_over'
               when status is null or status not in ('pending', 'running', 'paused') then 'odd_run'
               when not exists (select
                                  from old_job
                                 where old_job.run_id = old_run.id
                                   and (old_job.status = 'queued'
                                        or exists (select
                                                     from adopted as taken
                                                    where taken.kind = 'job'
                                                      and taken.old_id = old_job.id
                                                      and taken.fate = 'queued_here')))
                   then 'run_empty'
               else 'campaign_made'
           end as fate
      from old_run
      left join adopted as own on own.kind = 'business' and own.fate = 'adopted' and own.old_id = old_run.business_id
     where old_run.id = any(:ids::bigint[])
), made as (
    insert into campaign (business_id, name)
    select business_id, name from run where fate = 'campaign_made'
    on conflict (business_id, name) do update set name = excluded.name
    returning id, business_id, name
), paused as (
    insert into dial_control (scope, key, live_max, state, state_reason, state_since)
    select 'campaign', made.id::text, live_max, 'paused',
           'Taken over from the system before: `outbound resume campaign ' || made.id || '` lets it dial.', now()
      from made
     inner join run on run.business_id = made.business_id and run.name = made.name
    on conflict (scope, key) do update
       set live_max = excluded.live_max, state = excluded.state, state_reason = excluded.state_reason,
           state_since = excluded.state_since
)
insert into adopted (kind, old_id, new_id, business_id, fate)
select 'run', run.id, made.id, run.business_id, fate
  from run
  left join made on fate = 'campaign_made' and made.business_id = run.business_id and made.name = run.name
    on conflict do nothing;

-- name: reopen_jobs_of_ended_calls()!
-- A job that waited for a call that was in the air, of which no report came since: it waits again.
--
-- Moves    its old row -> the word that it had; adopted -> (nothing)
-- Races    an old worker that changed the old row meanwhile has taken the job: it keeps its outcome
with freed as (
    select adopted.old_id, adopted.before ->> 'status' as word
      from adopted
     inner join call_log on call_log.id = adopted.new_id
     where adopted.kind = 'job' and adopted.fate = 'in_the_air' and call_status_rank(call_log.status) = 5
), moved as (
    update old_job set status = freed.word
      from freed
     where old_job.id = freed.old_id and old_job.status = 'cancelled'
    returning old_job.id
)
delete from adopted using moved where adopted.kind = 'job' and adopted.old_id = moved.id;

-- name: jobs(businesses, state)
-- Returns  the old jobs that have no outcome, oldest first: those that wait (`waiting`), that were being dialed
--          (`dialing`), or the others (`over`)
select old_job.id
  from old_job
 where (:businesses::bigint[] is null or old_job.business_id = any(:businesses::bigint[]))
   and :state = case
           when status = 'queued' then 'waiting'
           when status in ('dialing', 'calling') then 'dialing'
           else 'over'
       end
   and not exists (select from adopted where kind = 'job' and old_id = old_job.id)
 order by old_job.id;

-- name: phones_of_jobs(ids)
-- Returns  the phone of each old job's lead, and the region in which it is to be read
select distinct old_lead.phone as said, business.default_region as region
  from old_job
 inner join old_lead on old_lead.id = old_job.lead_id
 inner join adopted as own on own.kind = 'business' and own.fate = 'adopted' and own.old_id = old_job.business_id
 inner join business on business.id = own.new_id
 where old_job.id = any(:ids::bigint[]) and old_lead.phone <> '';

-- name: adopt_dialing_jobs(ids, said, regions, phones)!
-- Jobs that an old worker had begun to dial: their call is looked for and closed; none is dialed.
--
-- Moves    (nothing) -> initiated, overdue, where no call of theirs is known; the old row -> cancelled
-- Races    an old worker that ended one meanwhile wins: it is not `dialing` any more, and has no outcome yet
-- Undo     give_back_jobs
with job as materialized (
    select old_job.id, old_job.run_id, old_job.business_id, old_job.call_log_id, old_job.status, old_job.lead_id,
           old_job.began_at,
           (select sid from unnest(array[old_job.call_sid, twilio_call_sid]) as sid
             where sid ~ '^[A-Za-z0-9:_-]{10,64}$' limit 1) as call_sid
      from old_job
     where old_job.id = any(:ids::bigint[]) and old_job.status in ('dialing', 'calling')
     order by old_job.id
       for update
), known as materialized (
    select job.*, own.new_id as own_id, phone_of.phone as to_number,
           (select phone
              from business_number
             where business_number.business_id = own.new_id
             order by created_at, phone
             limit 1) as from_number,
           coalesce((select new_id from adopted
                      where kind = 'call' and old_id = job.call_log_id and new_id is not null),
                    (select call_log.id from call_log where call_log.call_sid = job.call_sid)) as call_id,
           nullif(concat_ws(' ', old_lead.name, case when old_lead.name is null then old_lead.first_name end,
                            case when old_lead.name is null then old_lead.last_name end), '') as name
      from job
      left join adopted as own on own.kind = 'business' and own.fate = 'adopted' and own.old_id = job.business_id
      left join business on business.id = own.new_id
      left join old_lead on old_lead.id = job.lead_id
      left join unnest(:said::text[], :regions::text[], :phones::text[]) as phone_of (said, region, phone)
        on phone_of.said = old_lead.phone and phone_of.region is not distinct from business.default_region
), held as materialized (
    select known.*, holder.id as holder_id,
           case
               when own_id is null then 'no_business'
               when call_id is not null then 'call_adopted'
               when known.call_sid is null and known.to_number is null then 'no_phone'
               when holder.status in ('initiated', 'ringing', 'in-progress') then 'call_adopted'
               when holder.id is not null
                   or row_number() over (partition by own_id, phone_key(known.to_number), call_id is null
                                         order by known.call_sid is null, known.id desc) > 1 then 'same_number'
               else 'job_asked'
           end as fate
      from known
      left join lateral live_call(own_id, known.to_number) as holder on true
), inserted as (
    insert into call_log (business_id, direction, status, call_sid, from_number, to_number, dialed_at, overdue_at,
                          idempotency_key, contact)
    select own_id, 'outbound', 'initiated', call_sid, from_number, to_number, coalesce(began_at, now()), now(),
           'adopt:job:' || id, case when name is not null then jsonb_build_object('name', name) end
      from held
     where fate = 'job_asked'
    returning id, idempotency_key
), moved as (
    update old_job set status = 'cancelled'
      from held
     where old_job.id = held.id and old_job.status = held.status and held.fate not in ('no_business', 'no_phone')
    returning old_job.id
)
insert into adopted (kind, old_id, new_id, business_id, fate, before)
select 'job', held.id, coalesce(call_id, inserted.id, holder_id), own_id, fate,
       case when moved.id is not null then jsonb_build_object('status', held.status) end
  from held
  left join inserted on idempotency_key = 'adopt:job:' || held.id
  left join moved on moved.id = held.id;

-- name: adopt_waiting_jobs(ids, said, regions, phones)!
-- Put waiting jobs in the queue here, in the campaign of their run, and out of reach of old workers.
--
-- What the business's own number, or a live call to the same telephone, stands in the way of is not dialed as well.
-- `said`, `regions` and `phones` are what was read out of the leads' phones.
--
-- Moves    (nothing) -> queued; the old row queued -> cancelled
-- Races    an old worker that took a job meanwhile wins: its row is not `queued` any more, and has no outcome yet.  A call
--          that is enqueued here meanwhile to the same telephone fails the batch, which is tried again row by row
-- Undo     give_back_jobs
with job as materialized (
    select old_job.id, old_job.run_id, old_job.business_id, old_job.lead_id
      from old_job
     where old_job.id = any(:ids::bigint[]) and old_job.status = 'queued'
     order by old_job.id
       for update
), known as materialized (
    select job.*, own.new_id as own_id, run.new_id as campaign_id, run.fate as run_fate, phone_of.phone as to_number,
           (select phone
              from business_number
             where business_number.business_id = own.new_id
             order by created_at, phone
             limit 1) as from_number,
           nullif(concat_ws(' ', old_lead.name, case when old_lead.name is null then old_lead.first_name end,
                            case when old_lead.name is null then old_lead.last_name end), '') as name
      from job
      left join adopted as own on own.kind = 'business' and own.fate = 'adopted' and own.old_id = job.business_id
      left join adopted as run on run.kind = 'run' and run.old_id = job.run_id
      left join business on business.id = own.new_id
      left join old_lead on old_lead.id = job.lead_id
      left join unnest(:said::text[], :regions::text[], :phones::text[]) as phone_of (said, region, phone)
        on phone_of.said = old_lead.phone and phone_of.region is not distinct from business.default_region
), judged as materialized (
    select known.*,
           case
               when own_id is null then 'no_business'
               when run_fate in ('run_over', 'odd_run') then run_fate
               when campaign_id is null then 'odd_run'
               when to_number is null then 'no_phone'
               when from_number is null then 'no_own_number'
               when exists (select
                              from business_number
                             where business_number.business_id = own_id and phone_key(phone) = phone_key(to_number))
                   then 'own_number'
               else 'queued_here'
           end as fate
      from known
), placed as materialized (
    select judged.*, holder.id as holder_id, holder.status as holder_status,
           row_number() over (partition by own_id, phone_key(judged.to_number), fate order by judged.id) as turn
      from judged
      left join lateral live_call(own_id, judged.to_number) as holder on true
), settled as materialized (
    select placed.*,
           case
               when fate <> 'queued_here' then fate
               when holder_status in ('initiated', 'ringing', 'in-progress') then 'in_the_air'
               when holder_id is not null or turn > 1 then 'same_number'
               else fate
           end as end_fate
      from placed
), inserted as (
    insert into call_log (business_id, campaign_id, direction, status, from_number, to_number, idempotency_key, contact)
    select own_id, campaign_id, 'outbound', 'queued', from_number, to_number, 'adopt:job:' || id,
           case when name is not null then jsonb_build_object('name', name) end
      from settled
     where end_fate = 'queued_here'
     order by id
    returning id, idempotency_key, business_id, phone_key(to_number) as telephone
), moved as (
    update old_job set status = 'cancelled'
      from settled
     where old_job.id = settled.id
       and old_job.status = 'queued'
       and end_fate in ('queued_here', 'same_number', 'in_the_air')
    returning old_job.id
)
insert into adopted (kind, old_id, new_id, business_id, fate, before)
select 'job', settled.id, coalesce(inserted.id, holder_id, first.id), own_id, end_fate,
       case when moved.id is not null then '{"status": "queued"}'::jsonb end
  from settled
  left join inserted on inserted.idempotency_key = 'adopt:job:' || settled.id
  left join inserted as first on first.business_id = own_id and first.telephone = phone_key(settled.to_number)
  left join moved on moved.id = settled.id;

-- name: write_job_fates(ids)!
-- Jobs that neither wait nor are being dialed stay as they are.
insert into adopted (kind, old_id, business_id, fate, note)
select 'job', old_job.id, own.new_id,
       case
           when own.new_id is null then 'no_business'
           when old_job.status in ('completed', 'failed', 'cancelled', 'canceled') then 'job_over'
           else 'odd_status'
       end,
       old_job.status
  from old_job
  left join adopted as own on own.kind = 'business' and own.fate = 'adopted' and own.old_id = old_job.business_id
 where old_job.id = any(:ids::bigint[]) and old_job.status is distinct from 'queued'
    on conflict do nothing;

-- name: take_dispatch_lock()!
-- Keep every dispatcher from claiming until this transaction ends; who claims at this moment is waited for.
select pg_advisory_xact_lock(hashtext('outbound.dispatch'), 'call_log'::regclass::int);

-- name: count_in_the_air(businesses)$
-- Returns  how many calls that came from old jobs, or are further attempts of those, were claimed or dialed here and
--          are not over
select count(*)
  from adopted
 inner join call_log on call_log.id = adopted.new_id or call_log.retry_of = adopted.new_id
 where kind = 'job'
   and fate = 'queued_here'
   and (:businesses::bigint[] is null
        or adopted.business_id in (select new_id from adopted as own
                                    where own.kind = 'business' and own.old_id = any(:businesses::bigint[])))
   and call_log.status in ('claimed', 'initiated', 'ringing', 'in-progress');

-- name: tell_job_sids(businesses)!
-- Old jobs learn the call_sid of the call that was made of them here.
--
-- Races    what somebody else wrote there stays
update old_job
   set call_sid = call_log.call_sid
  from adopted
 inner join call_log on call_log.id = adopted.new_id
 where adopted.kind = 'job'
   and adopted.fate = 'queued_here'
   and adopted.old_id = old_job.id
   and old_job.call_sid is null
   and call_log.call_sid is not null
   and (:businesses::bigint[] is null
        or adopted.business_id in (select new_id
                                     from adopted as own
                                    where own.kind = 'business' and own.old_id = any(:businesses::bigint[])));

-- name: give_back_jobs(businesses)^
-- Give the old jobs back, under the dispatch lock: what was not dialed here waits there again, and of the others the
-- old row says what became of them.  No job whose phone may have rung here waits again.
--
-- Moves    our call queued -> canceled; the old row cancelled -> the word that it had, or completed, failed
-- Returns  how many old rows wait again, and how many now show what became of them
-- Races    another program that changed an old row meanwhile wins: it is not `cancelled` any more
-- Undo     `outbound adopt` again
with scope as materialized (
    select new_id as business_id
      from adopted
     where kind = 'business' and (:businesses::bigint[] is null or old_id = any(:businesses::bigint[]))
), given as materialized (
    select adopted.old_id, adopted.fate, adopted.before ->> 'status' as word, adopted.new_id as call_id,
           call_log.status, call_log.call_sid, call_log.error_code,
           coalesce(adopted.fate in ('queued_here', 'same_number')
                    and exists (select
                                  from call_log as attempt
                                 where (attempt.id = adopted.new_id or attempt.retry_of = adopted.new_id)
                                   and (attempt.dialed_at is not null or attempt.call_sid is not null)), false) as rang
      from adopted
      left join call_log on call_log.id = adopted.new_id
     where kind = 'job' and adopted.business_id in (select business_id from scope)
), closed as (
    -- Its key is free for when it is taken over again.
    update call_log
       set idempotency_key = idempotency_key || ':given back:' || call_log.id,
           status = case when call_log.status = 'queued' then 'canceled' else call_log.status end,
           error_code = case when call_log.status = 'queued' then 'given_back' else call_log.error_code end,
           error_message = case
               when call_log.status = 'queued' then 'It was given back to the system before.'
               else call_log.error_message
           end,
           held_by = case when call_log.status <> 'queued' then held_by end,
           overdue_at = case when call_log.status <> 'queued' then overdue_at end,
           ended_at = case when call_log.status = 'queued' then now() else ended_at end
      from given
     where (call_log.id = given.call_id or call_log.retry_of = given.call_id)
       and given.fate in ('queued_here', 'job_asked')
       and (call_log.status = 'queued' or call_log.idempotency_key = 'adopt:job:' || given.old_id)
    returning call_log.status = 'canceled' and call_log.error_code = 'given_back' as is_canceled
), judged as materialized (
    select given.*,
           case
               when rang and fate = 'same_number' then 'cancelled'
               when rang and status = 'completed' then 'completed'
               when rang then 'failed'
               when fate in ('job_asked', 'call_adopted') and error_code is null and status = 'completed'
                   then 'completed'
               when fate in ('job_asked', 'call_adopted') and error_code is null
                   and status in ('busy', 'no-answer', 'failed', 'canceled') then 'failed'
               else word
           end as new_word
      from given
     where word is not null
), restored as (
    update old_job set status = new_word
      from judged
     where old_job.id = judged.old_id and old_job.status = 'cancelled' and new_word <> 'cancelled'
    returning old_job.id, new_word = judged.word as waits
), forgotten as (
    delete from adopted using given where adopted.kind = 'job' and adopted.old_id = given.old_id
), runs as (
    delete from adopted using scope where adopted.kind = 'run' and adopted.business_id = scope.business_id
)
select count(*) filter (where waits) as waiting, count(*) filter (where not waits) as told,
       (select count(*) from closed where is_canceled) as canceled
  from restored;
