-- Only functions: nothing is lost.
do $functions$
begin
-- One page of calls, newest first, that begins before (before_at, before_id).
--
-- What is asked for narrowest leads: a telephone, a batch, an error, a campaign, else each business and status.  Where that
-- is not all that is asked for, call after call is looked at, scan_max of them at most; the page may then be cut short.
-- Where it ends is told by a row without an id, and the next one begins there.
-- A role that may not read numbers may not search by them: a phone number finds nothing.
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

execute format('alter function find_calls(text, bigint, bigint, text[], text, text, bigint, timestamptz, timestamptz,'
               ' timestamptz, bigint, integer, integer) set search_path = %I, pg_temp', current_schema());

drop function if exists search_branches(text, boolean, timestamptz, timestamptz, bigint, text, bigint, bigint, text[], text, text, bigint, integer, integer);
drop function if exists few_calls(text, text, text, bigint, integer);
drop function if exists calls_of_telephone(text, integer);
drop function if exists waiting_in_lane(bigint, bigint, text, timestamptz, timestamptz, bigint, bigint);
drop function if exists ended_with_error(text, text, timestamptz, timestamptz, bigint, bigint);
drop function if exists ended_in_campaign(bigint, text, timestamptz, timestamptz, bigint, bigint);
drop function if exists ended_in_business(bigint, text, timestamptz, timestamptz, bigint, bigint);
drop function if exists plan_search(text, bigint, bigint, text, text, bigint, timestamptz, timestamptz, timestamptz, bigint, integer);
drop function if exists call_fits(call_log, text[], bigint, bigint, text, text, bigint);
drop function if exists put_in_question(bigint, text, boolean);
drop function if exists report_refusal(bigint, text, boolean, text[]);
drop function if exists may_report(call_log, text, text, text, boolean, text[]);
drop function if exists read_reports(jsonb);
drop function if exists next_attempt(call_log);
drop function if exists call_after_report(call_log, text, boolean, text, timestamptz, integer, float8, float8, float8, float8);
drop function if exists next_deadline(call_log, text, boolean, text, float8, float8, float8, float8);
drop function if exists live_call(bigint, text);
end
$functions$;
