-- names.sql: what an operator calls a business, campaign, window or call.  Read by outbound/names.py alone.
-- A role that sees no phone number may ask too: what holds numbers is asked for apart.

-- name: find_named(kind, name, business_id)
-- Look for things of a kind by their name in whichever case.
--
-- Returns  `id`, `name`, `about` (what tells it from another of its name), `is_name`, else it is like the name; at most 20
with thing (kind, id, name, business_id, about) as (
    select 'business', id, name, id, concat_ws(', ', time_zone, default_region) from business
    union all
    select 'campaign', campaign.id, campaign.name, business_id, 'of business ' || business_id || ' ' || business.name
      from campaign
     inner join business on business.id = business_id
    union all
    select 'window', id, name, null, '' from calling_window
), found as (
    select id, name, about, lower(btrim(name)) = lower(btrim(:name)) as is_name,
           position(lower(btrim(:name)) in lower(name)) > 0 as is_like
      from thing
     where kind = :kind and (:business_id::bigint is null or business_id = :business_id)
)
select id, name, about, is_name
  from found
 where is_name or is_like
 order by not is_name, id
 limit 20;

-- name: is_there(kind, id, business_id)$
-- Returns  is there a thing of this kind with this id, of the business where one is given
select case :kind
           when 'business'
           then exists (select from business where id = :id and id = coalesce(:business_id::bigint, id))
           when 'campaign'
           then exists (select from campaign where id = :id and business_id = coalesce(:business_id, business_id))
           when 'window'
           then exists (select from calling_window where id = :id and :business_id::bigint is null)
       end;

-- name: find_batches(name, id, business_id, campaign_id)
-- Returns  batches of this name, of this id, or whose name is like it, the newest first; at most 20
select batch.id, batch.name, batch.name = :name as is_name, coalesce(batch.id = :id::bigint, false) as is_id,
       case
           when batch.campaign_id is null then 'of business ' || batch.business_id || ' ' || business.name
           else 'of campaign ' || batch.campaign_id || ' ' || campaign.name
       end as about
  from asked_businesses(:business_id) as asked
 inner join business on business.id = asked.id
 cross join lateral (
       -- By the index of each business's own: the batches of others may be many.
       select * from batch where business_id = asked.id offset 0
 ) as batch
  left join campaign on campaign.id = batch.campaign_id
 where (batch.name = :name or batch.id = :id::bigint or position(lower(btrim(:name)) in lower(batch.name)) > 0)
   and (:campaign_id::bigint is null or batch.campaign_id = :campaign_id)
 order by batch.name <> :name asc, batch.id <> :id::bigint asc, batch.imported_at desc, batch.id asc
 limit 20;

-- name: find_call_by_id(id, call_sid)
-- Returns  the call that has this id, or this call_sid
select id, business_id, status from call_log where id = :id
union all
select id, business_id, status from call_log where call_sid = :call_sid;

-- name: find_calls_by_key(key)
-- Returns  the calls that somebody named so, one of a business
select call_log.id, call_log.business_id, call_log.status, business.name as business
  from business
 inner join call_log on call_log.business_id = business.id and idempotency_key = :key
 order by call_log.id
 limit 20;

-- name: find_calls_by_number(phone)
-- Returns  of each business that has calls with this number the one that is live, else the newest
select *
  from (select distinct on (call_log.business_id) call_log.id, call_log.business_id, call_log.status,
               business.name as business
          from find_calls(:phone, null, null, null, null, null, null, null, null, null, null, 1000, 10000) as found
         cross join lateral (select * from call_log where id = found.id limit 1) as call_log
         inner join business on business.id = call_log.business_id
         order by call_log.business_id asc, call_status_rank(call_log.status) = 5 asc, found.at desc,
                  call_log.id desc) as newest
 order by id
 limit 20;

-- name: regions(business_id)
-- Returns  the countries in which the businesses, or one of them, read numbers without a country's code
select distinct default_region as region
  from business
 where default_region is not null and (:business_id::bigint is null or id = :business_id);

-- name: sees_numbers()$
-- Returns  may this role read phone numbers
select has_column_privilege('call_log', 'to_number', 'select');
