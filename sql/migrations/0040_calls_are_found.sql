-- A call is found by its number, its status, its campaign, its batch, its business, its time, who answered or its error,
-- newest first, without a look at the others; and its row says who put it in the queue, and who wanted an end of it, and why.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction
-- transactional: false
-- depends: 0039_batch

-- What a build that was killed left behind is in nobody's use, and in the way of the next.
do $$
declare
    leftover text;
begin
    for leftover in
        select format('%I.%I', nspname, relname)
          from pg_index
         inner join pg_class on pg_class.oid = indexrelid
         inner join pg_namespace on pg_namespace.oid = relnamespace
         where not indisvalid
           and nspname = current_schema()
           and relname in (
                   'call_log_past', 'call_log_campaign_past', 'call_log_error', 'call_log_undialed', 'call_log_caller',
                   'call_log_batch_retries')
    loop
        execute 'drop index ' || leftover;
    end loop;
end
$$;

do $$
declare
    before text := current_setting('lock_timeout');
begin
    -- Asked for again and again: behind a lock that is waited for, everybody waits.
    for attempt in 1..100 loop
        begin
            perform set_config('lock_timeout', '500ms', true);
            lock table call_log in access exclusive mode;
            exit;
        exception
            when lock_not_available or deadlock_detected then
                if attempt = 100 then
                    raise;
                end if;
                perform pg_sleep(0.1);
        end;
    end loop;
    perform set_config('lock_timeout', before, true);

    alter table call_log
        add column if not exists created_by text null,   -- who put it in the queue; NULL in rows from before
        add column if not exists stopped_by text null,   -- who wanted an end of it, and why
        add column if not exists stop_reason text null;
    -- Of our own sessions the operator, else the user of the process; of an application's, its role.
    alter table call_log
        alter column created_by set default coalesce(
            nullif(current_setting('outbound.by', true), ''), nullif(current_setting('outbound.os_user', true), ''),
            session_user::text);
end
$$;

-- The calls that are over, newest first.  A call that is put in the queue is in none of these: it is written to them once,
-- at its end.  No column is new to the indexes of the table that changes before that, so that no update which was HOT is
-- one no more.  That the moment is not NULL is true of all: it keeps these indexes from statements that look for something
-- else, and say nothing of the moment.
create index concurrently if not exists call_log_past
    on call_log (business_id, status, coalesce(ended_at, created_at), id)
 where status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
   and coalesce(ended_at, created_at) is not null;
create index concurrently if not exists call_log_campaign_past
    on call_log (campaign_id, status, coalesce(ended_at, created_at), id)
 where campaign_id is not null
   and status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
   and coalesce(ended_at, created_at) is not null;
create index concurrently if not exists call_log_error
    on call_log (error_code, status, coalesce(ended_at, created_at), id)
 where error_code is not null and coalesce(ended_at, created_at) is not null;

-- Of a telephone: what is live and what was dialed is found by indexes that are there; this is the rest.
create index concurrently if not exists call_log_undialed
    on call_log (phone_key(to_number))
 where direction = 'outbound' and dialed_at is null
   and status in ('completed', 'busy', 'no-answer', 'failed', 'canceled');
create index concurrently if not exists call_log_caller
    on call_log (phone_key(from_number)) where direction = 'inbound';

-- Of a batch: its first attempts are found by call_log_batch_once; these are the others.
create index concurrently if not exists call_log_batch_retries
    on call_log (batch_id) where batch_id is not null and retry_of is not null;

-- When a call was, for people who look for it: when it ended, was dialed, or is due.
create or replace function call_moment(call call_log) returns timestamptz
language sql stable parallel safe
return case
    when call.status in ('queued', 'claimed') then call.due_at
    when call.status in ('initiated', 'ringing', 'in-progress') then coalesce(call.dialed_at, call.created_at)
    else coalesce(call.ended_at, call.created_at)
end;

-- One page of calls, newest first, that begins before (before_at, before_id).
--
-- What is asked for narrowest leads: a telephone, a batch, an error, a campaign, else each business and status.  Where that
-- is not all that is asked for, call after call is looked at, scan_max of them at most; the page may then be cut short.
-- Where it ends is told by a row without an id, and the next one begins there.
-- Whoever may not read numbers may not ask for them: a telephone finds nothing.
--
-- Returns the `id` and the moment (call_moment) of each; and where the search was cut, a row of that moment and `cut_id`.
create or replace function find_calls(
    with_number text, in_business bigint, in_campaign bigint, with_statuses text[], with_error text, with_answerer text,
    in_batch bigint, since timestamptz, until timestamptz, before_at timestamptz, before_id bigint, page_max integer,
    scan_max integer
) returns table (id bigint, at timestamptz, cut_id bigint)
language sql stable security definer rows 50
as $$
    with batch as materialized (
        -- One that is too large to be sorted is looked for among the others.
        select count(*) > scan_max as is_large
          from (select from call_log where batch_id = in_batch and retry_of is null
                union all
                select from call_log where batch_id = in_batch and retry_of is not null
                limit scan_max + 1) as first
         where in_batch is not null
    ), asked as materialized (
        select case
                   when with_number is not null then 'number'
                   when in_batch is not null and not is_large then 'batch'
                   when with_error is not null then 'error'
                   when in_campaign is not null then 'campaign'
                   else 'business'
               end as lead,
               coalesce(in_batch is not null and is_large, false) as is_in_large_batch,
               coalesce(since, '-infinity') as from_at,
               -- One bound, at which a scan of an index begins; of two, one would only be a filter.
               least(before_at, until, 'infinity') as last_at,
               case when before_at < coalesce(until, 'infinity') then before_id else 0 end as last_id
          from (values (null)) as one
          left join batch on true
         where with_number is null or has_column_privilege(session_user, 'call_log', 'to_number', 'select')
    ), allowed as materialized (
        select asked.*,
               is_in_large_batch
               or lead in ('error', 'campaign', 'business') and with_answerer is not null
               or lead = 'error' and coalesce(in_campaign, in_business) is not null as is_picky
          from asked
    ), past as materialized (
        select status
          from unnest(array['completed', 'busy', 'no-answer', 'failed', 'canceled']) as status
         where status = any(coalesce(with_statuses, array[status]))
    ), place as materialized (
        select allowed.*, business.id as business_id, past.status
          from allowed
         cross join business
         cross join past
         where lead = 'business' and business.id = coalesce(in_business, business.id)
    ), own_lane as materialized (
        select lane.business_id, lane.campaign_id, lane.from_number, allowed.*
          from allowed
         cross join lane
         where lead in ('campaign', 'business')
           and with_answerer is null  -- nobody has answered what waits
           and 'queued' = any(coalesce(with_statuses, array['queued']))
           and lane.business_id = coalesce(in_business, lane.business_id)
           and lane.campaign_id = coalesce(in_campaign, lane.campaign_id)
    ), depth as materialized (
        -- What is looked at is shared out among the branches.
        select case
                   when is_picky then greatest(page_max, scan_max / greatest((select count(*) from place),
                                                                             (select count(*) from past), 1))
                   else page_max
               end as past_max,
               case
                   when is_picky then greatest(page_max, scan_max / greatest((select count(*) from own_lane), 1))
                   else page_max
               end as lane_max
          from allowed
    ), head as (
        select 'past ' || place.business_id || place.status as branch, one.id, one.at, past_max as most
          from place
         cross join depth
         cross join lateral (
               select call_log.id, coalesce(call_log.ended_at, call_log.created_at) as at
                 from call_log
                where call_log.business_id = place.business_id
                  and call_log.status = place.status
                  and call_log.status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
                  and (coalesce(call_log.ended_at, call_log.created_at), call_log.id) < (last_at, last_id)
                  and coalesce(call_log.ended_at, call_log.created_at) >= from_at
                order by coalesce(call_log.ended_at, call_log.created_at) desc, call_log.id desc
                limit past_max
         ) as one
        union all
        select 'campaign ' || past.status, one.id, one.at, past_max
          from allowed
         cross join depth
         cross join past
         cross join lateral (
               select call_log.id, coalesce(call_log.ended_at, call_log.created_at) as at
                 from call_log
                where call_log.campaign_id = in_campaign
                  and call_log.status = past.status
                  and call_log.status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
                  and (coalesce(call_log.ended_at, call_log.created_at), call_log.id) < (last_at, last_id)
                  and coalesce(call_log.ended_at, call_log.created_at) >= from_at
                order by coalesce(call_log.ended_at, call_log.created_at) desc, call_log.id desc
                limit past_max
         ) as one
         where lead = 'campaign'
        union all
        select 'error ' || past.status, one.id, one.at, past_max
          from allowed
         cross join depth
         cross join past
         cross join lateral (
               select call_log.id, coalesce(call_log.ended_at, call_log.created_at) as at
                 from call_log
                where call_log.error_code = with_error
                  and call_log.status = past.status
                  and (coalesce(call_log.ended_at, call_log.created_at), call_log.id) < (last_at, last_id)
                  and coalesce(call_log.ended_at, call_log.created_at) >= from_at
                order by coalesce(call_log.ended_at, call_log.created_at) desc, call_log.id desc
                limit past_max
         ) as one
         where lead = 'error'
        union all
        select format('lane %s %s %s', own_lane.business_id, own_lane.campaign_id, own_lane.from_number), one.id, one.at,
               lane_max
          from own_lane
         cross join depth
         cross join lateral (
               select call_log.id, call_log.due_at as at
                 from call_log
                where call_log.business_id = own_lane.business_id
                  and coalesce(call_log.campaign_id, 0) = own_lane.campaign_id
                  and call_log.from_number = own_lane.from_number
                  and call_log.status = 'queued'
                  and call_log.paused_at is null
                  and (call_log.due_at, call_log.id) < (last_at, last_id)
                  and call_log.due_at >= from_at
                order by call_log.due_at desc, call_log.id desc
                limit lane_max
         ) as one
        union all
        -- Few, however long the history is: all are looked at.
        select 'few', call.id, call_moment(call), null
          from allowed
         cross join lateral (
               -- What an operator holds by itself; what is in the air.
               select call_log.*
                 from call_log
                where call_log.status = 'queued' and call_log.paused_at is not null and lead not in ('number', 'batch')
                union all
               select call_log.*
                 from call_log
                where call_log.status in ('claimed', 'initiated', 'ringing', 'in-progress')
                  and lead not in ('number', 'batch')
                union all
               -- What waits after an error of its own; by the index of errors, and not by that of the lanes.
               select call_log.*
                 from (select call_log.*
                         from call_log
                        where call_log.error_code = with_error
                          and call_log.status = 'queued'
                          and coalesce(call_log.ended_at, call_log.created_at) is not null
                          and lead = 'error'
                        limit scan_max) as call_log
                where call_log.paused_at is null
                union all
               -- A telephone: live, dialed, never dialed, and calling us.
               select call_log.*
                 from business
                cross join lateral (
                      select call_log.*
                        from call_log
                       where call_log.business_id = business.id
                         and phone_key(call_log.to_number) = phone_key(with_number)
                         and call_log.direction = 'outbound'
                         and call_log.status in ('queued', 'claimed', 'initiated', 'ringing', 'in-progress')
                       union all
                      (select call_log.*
                         from call_log
                        where call_log.business_id = business.id
                          and phone_key(call_log.to_number) = phone_key(with_number)
                          and call_log.direction = 'outbound'
                          and call_log.dialed_at is not null
                          and call_log.status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
                        order by call_log.dialed_at desc
                        limit scan_max)
                ) as call_log
                where lead = 'number'
                union all
               (select call_log.*
                  from call_log
                 where phone_key(call_log.to_number) = phone_key(with_number)
                   and call_log.direction = 'outbound'
                   and call_log.dialed_at is null
                   and call_log.status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
                   and lead = 'number'
                 limit scan_max)
                union all
               (select call_log.*
                  from call_log
                 where phone_key(call_log.from_number) = phone_key(with_number)
                   and call_log.direction = 'inbound'
                   and lead = 'number'
                 limit scan_max)
                union all
               select call_log.*
                 from call_log
                where call_log.batch_id = in_batch and call_log.retry_of is null and lead = 'batch'
                union all
               select call_log.*
                 from call_log
                where call_log.batch_id = in_batch and call_log.retry_of is not null and lead = 'batch'
         ) as call
         where (with_statuses is null or call.status = any(with_statuses))
           and (in_business is null or call.business_id = in_business)
           and (in_campaign is null or call.campaign_id = in_campaign)
           and (with_error is null or call.error_code = with_error)
           and (with_answerer is null or call.answered_by = with_answerer)
           and (in_batch is null or call.batch_id = in_batch)
    ), counted as materialized (
        select head.*, count(*) over (partition by branch) as found from head
    ), cut as (
        -- Behind the end of a branch that goes on, nothing is known.
        select at, id
          from (select distinct on (branch) at, id from counted where found >= most order by branch, at, id) as ends
         order by at desc, id desc
         limit 1
    ), near as (
        select counted.id, counted.at
          from counted
         cross join allowed
          left join cut on true
         where (counted.at, counted.id) < (last_at, last_id)
           and (cut.id is null or (counted.at, counted.id) >= (cut.at, cut.id))
           and counted.at >= from_at
         order by counted.at desc, counted.id desc
         limit (select case when not is_picky then page_max end from allowed)
    ), page as (
        select near.id, near.at
          from near
          -- One look by the key each: as a condition, it might be answered by a look at all calls.
          left join lateral (
               select true as fits
                 from call_log
                where call_log.id = near.id
                  and (select is_picky from allowed)
                  and (with_statuses is null or call_log.status = any(with_statuses))
                  and (in_business is null or call_log.business_id = in_business)
                  and (in_campaign is null or call_log.campaign_id = in_campaign)
                  and (with_error is null or call_log.error_code = with_error)
                  and (with_answerer is null or call_log.answered_by = with_answerer)
                  and (in_batch is null or call_log.batch_id = in_batch)
                limit 1
          ) as looked_at on true
         where fits or not (select is_picky from allowed)
         order by near.at desc, near.id desc
         limit page_max
    )
    select page.id, page.at, null::bigint from page
    union all
    select null, cut.at, cut.id from cut
$$;

do $$
begin
    execute format('alter function find_calls(text, bigint, bigint, text[], text, text, bigint, timestamptz, timestamptz, '
                   'timestamptz, bigint, integer, integer) set search_path = %I, pg_temp', current_schema());
end
$$;
