-- window_state.sql: who keeps to calling windows, for the page.  Read by outbound/page/window_state.py alone.

-- name: count_keepers(business_id)
-- Returns  how many businesses and campaigns keep to each window; of one business, itself and its campaigns
select keeper.window_id as id, count(*) filter (where keeper.kind = 'business') as businesses,
       count(*) filter (where keeper.kind = 'campaign') as campaigns
  from (select business.window_id, 'business' as kind
          from business
         where :business_id::bigint is null or business.id = :business_id
        union all
        select campaign.window_id, 'campaign'
          from campaign
         where :business_id::bigint is null or campaign.business_id = :business_id) as keeper
 where keeper.window_id is not null
 group by keeper.window_id;

-- name: find_keepers(window_id, business_id, rows_max)
-- Returns  the businesses and campaigns that keep to a window, as count_keepers counts them; businesses first
(select 'business' as kind, business.id, business.name
   from business
  where business.window_id = :window_id and (:business_id::bigint is null or business.id = :business_id)
  order by business.id
  limit :rows_max)
union all
(select 'campaign', campaign.id, campaign.name
   from campaign
  where campaign.window_id = :window_id and (:business_id::bigint is null or campaign.business_id = :business_id)
  order by campaign.id desc
  limit :rows_max);

-- name: find_notes(window_id, rows_max)
-- Returns  the note of each day from yesterday on that has hours of its own, by day
select day, note
  from calling_day
 where window_id = :window_id and day >= current_date - 1
 order by day
 limit :rows_max;
