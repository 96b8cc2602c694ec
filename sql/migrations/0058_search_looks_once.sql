-- A search looks at each call once, where no index has all that is asked for.
-- depends: 0057_suppression_lists

-- The latest calls of a business that ended with this status, before (last_at, last_id).
create or replace function calls_ended_in_business(
    business_id bigint, status text, from_at timestamptz, last_at timestamptz, last_id bigint, calls_max bigint
) returns setof call_log
language sql stable
as $$
    select call_log.*
      from call_log
     where call_log.business_id = $1
       and call_log.status = $2
       and call_log.status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
       and (coalesce(call_log.ended_at, call_log.created_at), call_log.id) < (last_at, last_id)
       and coalesce(call_log.ended_at, call_log.created_at) >= from_at
     order by coalesce(call_log.ended_at, call_log.created_at) desc, call_log.id desc
     limit calls_max
$$;

-- The latest calls of a campaign that ended with this status, before (last_at, last_id).
create or replace function calls_ended_in_campaign(
    campaign_id bigint, status text, from_at timestamptz, last_at timestamptz, last_id bigint, calls_max bigint
) returns setof call_log
language sql stable
as $$
    select call_log.*
      from call_log
     where call_log.campaign_id = $1
       and call_log.status = $2
       and call_log.status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
       and (coalesce(call_log.ended_at, call_log.created_at), call_log.id) < (last_at, last_id)
       and coalesce(call_log.ended_at, call_log.created_at) >= from_at
     order by coalesce(call_log.ended_at, call_log.created_at) desc, call_log.id desc
     limit calls_max
$$;

-- The latest calls of a business that ended with this status and error, before (last_at, last_id).
create or replace function calls_ended_with_error(
    in_business bigint, with_error text, with_status text, from_at timestamptz, last_at timestamptz, last_id bigint,
    calls_max bigint
) returns setof call_log
language sql stable
as $$
    select call_log.*
      from call_log
     where call_log.business_id = in_business
       and call_log.error_code = with_error
       and call_log.status = with_status
       and (coalesce(call_log.ended_at, call_log.created_at), call_log.id) < (last_at, last_id)
       and coalesce(call_log.ended_at, call_log.created_at) >= from_at
     order by coalesce(call_log.ended_at, call_log.created_at) desc, call_log.id desc
     limit calls_max
$$;

-- The calls that wait in a lane and are due last, before (last_at, last_id).
create or replace function calls_waiting_in_lane(
    business_id bigint, campaign_id bigint, from_number text, from_at timestamptz, last_at timestamptz, last_id bigint,
    calls_max bigint
) returns setof call_log
language sql stable
as $$
    select call_log.*
      from call_log
     where call_log.business_id = $1
       and coalesce(call_log.campaign_id, 0) = $2
       and call_log.from_number = $3
       and call_log.status = 'queued'
       and call_log.paused_at is null
       and (call_log.due_at, call_log.id) < (last_at, last_id)
       and call_log.due_at >= from_at
     order by call_log.due_at desc, call_log.id desc
     limit calls_max
$$;

-- Which calls of a campaign ended with this status, and when, the latest first, before (last_at, last_id).
create or replace function ended_in_campaign(
    campaign_id bigint, status text, from_at timestamptz, last_at timestamptz, last_id bigint, calls_max bigint
) returns table (id bigint, at timestamptz)
language sql stable
as $$
    select call.id, coalesce(call.ended_at, call.created_at)
      from calls_ended_in_campaign($1, $2, from_at, last_at, last_id, calls_max) as call
$$;

-- squawk-ignore ban-drop-function
drop function if exists search_branches(text, boolean, timestamptz, timestamptz, bigint, text, bigint, bigint, text[],
    text, text, bigint, integer, integer);

-- The first calls of each branch of a search (find_calls), as plan_search says what leads it.  Branches are: per business
-- (with the error, where that leads) or in the campaign that leads, the calls that ended with one status; per lane, the
-- calls that wait; and few_calls.  Those that do not fit (call_fits) are looked at and left out, all but the last of a
-- branch that may have more behind it (`is_end`).
create or replace function search_branches(
    lead text, is_picky boolean, from_at timestamptz, last_at timestamptz, last_id bigint, with_number text,
    in_business bigint, in_campaign bigint, with_statuses text[], with_error text, with_answerer text, in_batch bigint,
    page_max integer, scan_max integer
) returns table (id bigint, at timestamptz, fits boolean, is_end boolean)
language sql stable
as $$
    with past as materialized (
        select status
          from unnest(array['completed', 'busy', 'no-answer', 'failed', 'canceled']) as status
         where status = any(coalesce(with_statuses, array[status]))
    ), place as materialized (
        select business.id as business_id, past.status
          from asked_businesses(in_business) as business
         cross join past
         where lead in ('business', 'error')
    ), own_lane as materialized (
        select own.business_id, own.campaign_id, own.from_number
          from (select * from lanes_of_business(in_business)
                union all
                select * from lane where in_business is null) as own
         where lead in ('campaign', 'business')
           and with_answerer is null  -- nobody has answered what waits
           and 'queued' = any(coalesce(with_statuses, array['queued']))
           and own.campaign_id = coalesce(in_campaign, own.campaign_id)
    ), depth as materialized (
        -- What is looked at is shared out among the branches.
        select greatest(page_max, case when is_picky then scan_max / greatest(places, pasts, 1) end) as past_max,
               greatest(page_max, case when is_picky then scan_max / greatest(lanes, 1) end) as lane_max
          from (select (select count(*) from place) as places, (select count(*) from past) as pasts,
                       (select count(*) from own_lane) as lanes) as branches
    ), looked as (
        select call.*
          from place
         cross join depth
         cross join lateral (
               select one.id, coalesce(one.ended_at, one.created_at) as at,
                      call_fits(one, with_statuses, in_business, in_campaign, with_error, with_answerer, in_batch)
                          as fits,
                      row_number() over newest_first = past_max as is_end
                 from calls_ended_in_business(place.business_id, place.status, from_at, last_at, last_id, past_max)
                      as one
               window newest_first as (order by coalesce(one.ended_at, one.created_at) desc, one.id desc)
          ) as call
         where lead = 'business'
        union all
        select call.*
          from past
         cross join depth
         cross join lateral (
               select one.id, coalesce(one.ended_at, one.created_at) as at,
                      call_fits(one, with_statuses, in_business, in_campaign, with_error, with_answerer, in_batch)
                          as fits,
                      row_number() over newest_first = past_max as is_end
                 from calls_ended_in_campaign(in_campaign, past.status, from_at, last_at, last_id, past_max) as one
               window newest_first as (order by coalesce(one.ended_at, one.created_at) desc, one.id desc)
          ) as call
         where lead = 'campaign'
        union all
        select call.*
          from place
         cross join depth
         cross join lateral (
               select one.id, coalesce(one.ended_at, one.created_at) as at,
                      call_fits(one, with_statuses, in_business, in_campaign, with_error, with_answerer, in_batch)
                          as fits,
                      row_number() over newest_first = past_max as is_end
                 from calls_ended_with_error(place.business_id, with_error, place.status, from_at, last_at, last_id,
                                             past_max) as one
               window newest_first as (order by coalesce(one.ended_at, one.created_at) desc, one.id desc)
          ) as call
         where lead = 'error'
        union all
        select call.*
          from own_lane
         cross join depth
         cross join lateral (
               select one.id, one.due_at as at,
                      call_fits(one, with_statuses, in_business, in_campaign, with_error, with_answerer, in_batch)
                          as fits,
                      row_number() over newest_first = lane_max as is_end
                 from calls_waiting_in_lane(own_lane.business_id, own_lane.campaign_id, own_lane.from_number, from_at,
                                            last_at, last_id, lane_max) as one
               window newest_first as (order by one.due_at desc, one.id desc)
          ) as call
        union all
        select call.id, call_moment(call),
               call_fits(call, with_statuses, in_business, in_campaign, with_error, with_answerer, in_batch), false
          -- All of them: nothing would say that there are more.
          from few_calls(lead, with_number, in_business, with_error, in_batch, greatest(scan_max, 100000)) as call
    )
    select id, at, fits, is_end from looked where fits or is_end
$$;

-- One page of calls, newest first, that begins before (before_at, before_id).
--
-- What is asked for narrowest leads: a telephone, a batch, an error, a campaign, else each business and status.  Where that
-- is not all that is asked for, call after call is looked at, scan_max of them at most; the page may then be cut short.
-- A row without an id says where it ends, and the next one begins there.
-- A role that may not read numbers may not search by them: a phone number finds nothing.
-- In PL/pgSQL, which plans it once per connection: one of SQL that cannot be inlined is planned at each call,
-- which takes longer than to find a page.
--
-- Returns the `id` and the moment (call_moment) of each; and where the search was cut, a row of that moment and `cut_id`.
create or replace function find_calls(
    with_number text, in_business bigint, in_campaign bigint, with_statuses text[], with_error text, with_answerer text,
    in_batch bigint, since timestamptz, until timestamptz, before_at timestamptz, before_id bigint, page_max integer,
    scan_max integer
) returns table (id bigint, at timestamptz, cut_id bigint)
language plpgsql stable security definer rows 50
as $$
#variable_conflict use_column
begin
    return query
    with search as materialized (
        select *
          from plan_search(with_number, in_business, in_campaign, with_error, with_answerer, in_batch, since, until,
                           before_at, before_id, scan_max)
    ), looked as materialized (
        select looked.*
          from search
         cross join lateral search_branches(lead, is_picky, from_at, last_at, last_id, with_number, in_business,
                                            in_campaign, with_statuses, with_error, with_answerer, in_batch, page_max,
                                            scan_max) as looked
    ), cut as (
        -- Behind the end of a branch that goes on, nothing is known.
        select at, id from looked where is_end order by at desc, id desc limit 1
    ), page as (
        select looked.id, looked.at
          from looked
         cross join search
          left join cut on true
         where fits
           and (looked.at, looked.id) < (last_at, last_id)
           and (cut.id is null or (looked.at, looked.id) >= (cut.at, cut.id))
           and looked.at >= from_at
         order by looked.at desc, looked.id desc
         limit page_max
    )
    select page.id, page.at, null::bigint from page
    union all
    select null, cut.at, cut.id from cut;
end
$$;

do $path$
begin
    execute format('alter function find_calls(text, bigint, bigint, text[], text, text, bigint, timestamptz, timestamptz,'
                   ' timestamptz, bigint, integer, integer) set search_path = %I, pg_temp', current_schema());
end
$path$;

-- squawk-ignore ban-drop-function
drop function if exists ended_in_business(bigint, text, timestamptz, timestamptz, bigint, bigint);
-- squawk-ignore ban-drop-function
drop function if exists ended_with_error(bigint, text, text, timestamptz, timestamptz, bigint, bigint);
-- squawk-ignore ban-drop-function
drop function if exists waiting_in_lane(bigint, bigint, text, timestamptz, timestamptz, bigint, bigint);

comment on function search_branches(text, boolean, timestamptz, timestamptz, bigint, text, bigint, bigint, text[], text,
                                    text, bigint, integer, integer) is
    'The calls of each branch of a search that fit, and the last that was looked at of one that goes on.';
comment on function calls_ended_in_business(bigint, text, timestamptz, timestamptz, bigint, bigint) is
    'The latest calls of a business that ended with one status, before a place.';
comment on function calls_ended_in_campaign(bigint, text, timestamptz, timestamptz, bigint, bigint) is
    'The latest calls of a campaign that ended with one status, before a place.';
comment on function calls_ended_with_error(bigint, text, text, timestamptz, timestamptz, bigint, bigint) is
    'The latest calls of a business that ended with one status and error, before a place.';
comment on function calls_waiting_in_lane(bigint, bigint, text, timestamptz, timestamptz, bigint, bigint) is
    'The calls that wait in a lane and are due last, before a place.';
