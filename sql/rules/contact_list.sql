-- contact_list.sql: whose a do-not-call entry or a consent is.  Read by outbound/rules/contact_list.py alone.

-- name: find_scope(business_id, campaign_id)^
-- Returns  the business, or the campaign's; nothing where there is none, or the campaign is another business's
select business.id as business_id, campaign.id as campaign_id, business.default_region, business.time_zone
  from business
  left join campaign on campaign.business_id = business.id and campaign.id = :campaign_id
 where business.id = coalesce(:business_id, campaign.business_id)
   and (campaign.id is not null or :campaign_id::numeric is null);

-- name: clock()$
-- Returns  the moment it is: the one clock is the database's
select now();

-- name: forgotten_of(phones)
-- Returns  those of these numbers whose person was forgotten; while nobody was, it costs a page
select phone from unnest(:phones::text[]) as phone where is_forgotten(phone);
