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
