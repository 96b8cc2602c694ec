-- lead_list.sql: the leads, the latest contact first.  Read by outbound/calls/lead_list.py alone.
-- A role that sees no phone number may ask too (the reader of roles.sql): what holds numbers is asked for apart.

-- name: newest_leads(business_id, since, until, before_at, before_id, page_max)
-- Looks at some more leads than a page has, as one that is the twin of another is not shown.
--
-- Returns  a row per lead; and where the search was cut short, one without an `id` that says where: `at`, `cut_id`
with place as materialized (
    select least(:before_at::timestamptz, :until::timestamptz, 'infinity') as last_at,
           case
               when :before_at::timestamptz < coalesce(:until::timestamptz, 'infinity') then :before_id::bigint
               else 0
           end as last_id,
           coalesce(:since::timestamptz, '-infinity') as from_at,
           greatest(2 * :page_max::bigint, 100) as most
), seen as materialized (
    (select id, business_id, created_at, updated_at, duplicate_of
       from leads
      where :business_id::bigint is null
        and (updated_at, id) < ((select last_at from place), (select last_id from place))
        and updated_at >= (select from_at from place)
      order by updated_at desc, id desc
      limit (select most from place))
    union all
    -- Between two places of the business's own index: planned for whatever business, another index might lead past the
    -- leads of all.
    (select id, business_id, created_at, updated_at, duplicate_of
       from leads
      where :business_id::bigint is not null
        and (business_id, updated_at, id) < (:business_id, (select last_at from place), (select last_id from place))
        and (business_id, updated_at) >= (:business_id, (select from_at from place))
      order by business_id desc, updated_at desc, id desc
      limit (select most from place))
), cut as (
    select updated_at as at, id
      from seen
     where (select count(*) from seen) >= (select most from place)
     order by updated_at, id
     limit 1
), page as (
    select *
      from seen
     where duplicate_of is null
     order by updated_at desc, id desc
     limit :page_max
)
select page.id, page.updated_at as at, null::bigint as cut_id, page.business_id, business.name as business,
       page.created_at, page.updated_at, last_call.id as call_id, last_call.status as call_status,
       last_call.calls, business.time_zone
  from page
 inner join business on business.id = page.business_id
  left join lateral (
       select max(id) as id, count(*) as calls, (array_agg(status order by id desc))[1] as status
         from (select id, status from call_log where lead_id = page.id order by id desc limit 1000) as own
  ) as last_call on true
union all
select null, at, id, null, null, null, null, null, null, null, null from cut
 order by at desc, id desc nulls last;

-- name: leads_of_number(number, business_id)
-- Returns  the leads of one telephone
select leads.id, leads.updated_at as at, null::bigint as cut_id, leads.business_id, business.name as business,
       leads.created_at, leads.updated_at, last_call.id as call_id, last_call.status as call_status, last_call.calls,
       business.time_zone
  from business
 inner join leads on leads.business_id = business.id
                 and phone_key(leads.phone) = phone_key(:number)
                 and leads.duplicate_of is null
 cross join lateral (
       select max(id) as id, count(*) as calls, (array_agg(status order by id desc))[1] as status
         from (select id, status from call_log where lead_id = leads.id order by id desc limit 1000) as own
 ) as last_call
 where :business_id::bigint is null or business.id = :business_id
 order by leads.updated_at desc, leads.id desc;

-- name: phones_of_leads(lead_ids)
select id, phone from leads where id = any(:lead_ids::bigint[]);
