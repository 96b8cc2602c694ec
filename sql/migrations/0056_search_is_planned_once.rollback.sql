-- Only functions: nothing is lost.
-- The calls that a search looks at all together, as they are few however long the history is: held one by one and in the
-- air, or those of a telephone or a batch where that leads (plan_search).
create or replace function few_calls(
    lead text, with_number text, in_business bigint, with_error text, in_batch bigint, scan_max integer
) returns setof call_log
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
      from (select queued.*
              from business
             cross join lateral (
                   select call_log.*
                     from call_log
                    where call_log.business_id = business.id
                      and call_log.error_code = with_error
                      and call_log.status = 'queued'
                      and coalesce(call_log.ended_at, call_log.created_at) is not null
                    limit scan_max
             ) as queued
             where lead = 'error' and business.id = coalesce(in_business, business.id)
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

-- The first calls of each branch of a search (find_calls), as plan_search says what leads it.  Branches are: per business
-- (with the error, where that leads) or in the campaign that leads, the calls that ended with one status; per lane, the
-- calls that wait; and few_calls.  A branch that has `most` calls may have more.
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
         where lead in ('business', 'error') and business.id = coalesce(in_business, business.id)
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
     where lead = 'business'
    union all
    select 'campaign ' || past.status, one.id, one.at, past_max
      from past
     cross join depth
     cross join lateral ended_in_campaign(in_campaign, past.status, from_at, last_at, last_id, past_max) as one
     where lead = 'campaign'
    union all
    select format('error %s %s', place.business_id, place.status), one.id, one.at, past_max
      from place
     cross join depth
     cross join lateral ended_with_error(
           place.business_id, with_error, place.status, from_at, last_at, last_id, past_max) as one
     where lead = 'error'
    union all
    select format('lane %s %s %s', business_id, campaign_id, from_number), one.id, one.at, lane_max
      from own_lane
     cross join depth
     cross join lateral waiting_in_lane(business_id, campaign_id, from_number, from_at, last_at, last_id, lane_max) as one
    union all
    select 'few', call.id, call_moment(call), null
      from few_calls(lead, with_number, in_business, with_error, in_batch, scan_max) as call
     where call_fits(call, with_statuses, in_business, in_campaign, with_error, with_answerer, in_batch)
$$;

-- One page of calls, newest first, that begins before (before_at, before_id).
--
-- What is asked for narrowest leads: a telephone, a batch, an error, a campaign, else each business and status.  Where that
-- is not all that is asked for, call after call is looked at, scan_max of them at most; the page may then be cut short.
-- A row without an id says where it ends, and the next one begins there.
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
    with search as materialized (
        select *
          from plan_search(with_number, in_business, in_campaign, with_error, with_answerer, in_batch, since, until,
                           before_at, before_id, scan_max)
    ), head as (
        select head.*
          from search
         cross join lateral search_branches(lead, is_picky, from_at, last_at, last_id, with_number, in_business,
                                            in_campaign, with_statuses, with_error, with_answerer, in_batch, page_max,
                                            scan_max) as head
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
         cross join search
          left join cut on true
         where (counted.at, counted.id) < (last_at, last_id)
           and (cut.id is null or (counted.at, counted.id) >= (cut.at, cut.id))
           and counted.at >= from_at
         order by counted.at desc, counted.id desc
         limit (select case when not is_picky then page_max end from search)
    ), page as (
        select near.id, near.at
          from near
          -- One look by the key each: as a condition, it might be answered by a look at all calls.
          left join lateral (
               select true as fits
                 from call_log
                where call_log.id = near.id
                  and (select is_picky from search)
                  and call_fits(call_log, with_statuses, in_business, in_campaign, with_error, with_answerer, in_batch)
                limit 1
          ) as looked_at on true
         where fits or not (select is_picky from search)
         order by near.at desc, near.id desc
         limit page_max
    )
    select page.id, page.at, null::bigint from page
    union all
    select null, cut.at, cut.id from cut
$$;

do $path$
begin
    execute format('alter function find_calls(text, bigint, bigint, text[], text, text, bigint, timestamptz, timestamptz,'
                   ' timestamptz, bigint, integer, integer) set search_path = %I, pg_temp', current_schema());
end
$path$;

drop function if exists lanes_of_business(bigint);
drop function if exists asked_businesses(bigint);
