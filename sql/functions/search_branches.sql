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
