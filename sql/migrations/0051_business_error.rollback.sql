-- Only what this migration made goes, and no data unless the session says so: `outbound rollback` does, once asked.
-- One statement, and nothing without a mark: yoyo would undo what a migration that failed has done, which goes on instead.
do $rollback$
begin
    if not exists (select from _yoyo_migration where migration_id = '0051_business_error') then
        return;
    end if;
    declare
        theirs text;
    begin
        select string_agg(relname, ', ' order by relname) into theirs
          from pg_class
         inner join pg_namespace on pg_namespace.oid = relnamespace
         where nspname = current_schema()
           and relname in ('business', 'call_log', 'leads')
           and not exists (
               select from pg_attribute where attrelid = pg_class.oid and attname = 'id' and attidentity = 'd'
           );
        if theirs is not null then
            raise exception using
                errcode = 'object_not_in_prerequisite_state',
                message = format('0051_business_error is not rolled back: outbound did not make %s', theirs);
        end if;
    end;

create index if not exists call_log_error
    on call_log (error_code, status, coalesce(ended_at, created_at), id)
 where error_code is not null and coalesce(ended_at, created_at) is not null;
drop index if exists call_log_business_error;

-- The latest calls that ended with this status and error, before (last_at, last_id).
create or replace function ended_with_error(
    error_code text, status text, from_at timestamptz, last_at timestamptz, last_id bigint, calls_max bigint
) returns table (id bigint, at timestamptz)
language sql stable
as $$
    select call_log.id, coalesce(call_log.ended_at, call_log.created_at)
      from call_log
     where call_log.error_code = $1
       and call_log.status = $2
       and (coalesce(call_log.ended_at, call_log.created_at), call_log.id) < (last_at, last_id)
       and coalesce(call_log.ended_at, call_log.created_at) >= from_at
     order by coalesce(call_log.ended_at, call_log.created_at) desc, call_log.id desc
     limit calls_max
$$;

-- The calls that a search looks at all together, as they are few however long the history is: held one by one and in the
-- air, or those of a telephone or a batch where that leads (plan_search).
create or replace function few_calls(lead text, with_number text, with_error text, in_batch bigint, scan_max integer)
returns setof call_log
language sql stable
as $$
    select call_log.*
      from call_log
     where call_log.status = 'queued' and call_log.paused_at is not null and lead not in ('number', 'batch')
     union all
    select call_log.*
      from call_log
     where call_log.status in ('claimed', 'initiated', 'ringing', 'in-progress') and lead not in ('number', 'batch')
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
    select call_log.* from calls_of_telephone(with_number, scan_max) as call_log where lead = 'number'
     union all
    select call_log.*
      from call_log
     where call_log.batch_id = in_batch and call_log.retry_of is null and lead = 'batch'
     union all
    select call_log.*
      from call_log
     where call_log.batch_id = in_batch and call_log.retry_of is not null and lead = 'batch'
$$;

-- How find_calls goes about a search: what leads it, whether the calls that this finds must be looked at one by one
-- (`is_picky`), and between which moments.  No row where this role may not search by a number.
create or replace function plan_search(
    with_number text, in_business bigint, in_campaign bigint, with_error text, with_answerer text, in_batch bigint,
    since timestamptz, until timestamptz, before_at timestamptz, before_id bigint, scan_max integer
) returns table (lead text, is_picky boolean, from_at timestamptz, last_at timestamptz, last_id bigint)
language sql stable rows 1
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
               coalesce(in_batch is not null and is_large, false) as is_in_large_batch
          from (values (null)) as one
          left join batch on true
         where with_number is null or has_column_privilege(session_user, 'call_log', 'to_number', 'select')
    )
    select asked.lead,
           is_in_large_batch
           or asked.lead in ('error', 'campaign', 'business') and with_answerer is not null
           or asked.lead = 'error' and coalesce(in_campaign, in_business) is not null,
           coalesce(since, '-infinity'),
           -- One bound, at which a scan of an index begins; of two, one would only be a filter.
           least(before_at, until, 'infinity'),
           case when before_at < coalesce(until, 'infinity') then before_id else 0 end
      from asked
$$;

-- The first calls of each branch of a search (find_calls), which plan_search has laid out: of each business, or of the
-- campaign or error that leads, those that ended with each status; of each lane what waits; and the few (few_calls).
-- Of a branch that has `most` calls there may be more.
create or replace function search_branches(
    lead text, is_picky boolean, from_at timestamptz, last_at timestamptz, last_id bigint, with_number text,
    in_business bigint, in_campaign bigint, with_statuses text[], with_error text, with_answerer text, in_batch bigint,
    page_max integer, scan_max integer
) returns table (branch text, id bigint, at timestamptz, most bigint)
language sql stable
as $$
    with past as materialized (
        select status
          from unnest(array['completed', 'busy', 'no-answer', 'failed', 'canceled']) as status
         where status = any(coalesce(with_statuses, array[status]))
    ), place as materialized (
        select business.id as business_id, past.status
          from business
         cross join past
         where lead = 'business' and business.id = coalesce(in_business, business.id)
    ), own_lane as materialized (
        select lane.business_id, lane.campaign_id, lane.from_number
          from lane
         where lead in ('campaign', 'business')
           and with_answerer is null  -- nobody has answered what waits
           and 'queued' = any(coalesce(with_statuses, array['queued']))
           and lane.business_id = coalesce(in_business, lane.business_id)
           and lane.campaign_id = coalesce(in_campaign, lane.campaign_id)
    ), depth as materialized (
        -- What is looked at is shared out among the branches.
        select greatest(page_max, case when is_picky then scan_max / greatest(places, pasts, 1) end) as past_max,
               greatest(page_max, case when is_picky then scan_max / greatest(lanes, 1) end) as lane_max
          from (select (select count(*) from place) as places, (select count(*) from past) as pasts,
                       (select count(*) from own_lane) as lanes) as branches
    )
    select 'past ' || place.business_id || place.status, one.id, one.at, past_max
      from place
     cross join depth
     cross join lateral ended_in_business(place.business_id, place.status, from_at, last_at, last_id, past_max) as one
    union all
    select 'campaign ' || past.status, one.id, one.at, past_max
      from past
     cross join depth
     cross join lateral ended_in_campaign(in_campaign, past.status, from_at, last_at, last_id, past_max) as one
     where lead = 'campaign'
    union all
    select 'error ' || past.status, one.id, one.at, past_max
      from past
     cross join depth
     cross join lateral ended_with_error(with_error, past.status, from_at, last_at, last_id, past_max) as one
     where lead = 'error'
    union all
    select format('lane %s %s %s', business_id, campaign_id, from_number), one.id, one.at, lane_max
      from own_lane
     cross join depth
     cross join lateral waiting_in_lane(business_id, campaign_id, from_number, from_at, last_at, last_id, lane_max) as one
    union all
    select 'few', call.id, call_moment(call), null
      from few_calls(lead, with_number, with_error, in_batch, scan_max) as call
     where call_fits(call, with_statuses, in_business, in_campaign, with_error, with_answerer, in_batch)
$$;

comment on function ended_with_error(text, text, timestamptz, timestamptz, bigint, bigint) is
    'The latest calls that ended with a status and an error, before a place in the list.';
comment on function few_calls(text, text, text, bigint, integer) is
    'The calls that a search looks at all together, as they are few however long the history is.';

drop function if exists ended_with_error(bigint, text, text, timestamptz, timestamptz, bigint, bigint);
drop function if exists few_calls(text, text, bigint, text, bigint, integer);
end
$rollback$;
