-- What is needed to know of each business, and its campaign, before it calls, with its `place` in what was given,
-- from 1; nothing of one that is not there.  `campaign_id` is NULL where the campaign is not this business's.
-- Without a business, the campaign says whose it is.
create or replace function find_callers(business_ids bigint[], campaign_ids bigint[]) returns table (
    place bigint, id bigint, time_zone text, default_region text, campaign_id bigint, has_ended boolean,
    campaign_calls boolean, can_speak boolean, twiml text, own_number text
)
language sql stable
as $$
    select place, business.id, business.time_zone, business.default_region, campaign.id as campaign_id,
           coalesce(campaign.ends_at <= now(), false) as has_ended,
           campaign_from_number(campaign.id, '', 1) is not null as campaign_calls,
           coalesce(campaign.voice_url, campaign.twiml, business.voice_url, business.twiml) is not null as can_speak,
           case
               when coalesce(campaign.voice_url, campaign.twiml) is not null then campaign.twiml
               when business.voice_url is null then business.twiml
           end as twiml,
           (select phone
              from business_number
             where business_id = business.id
             order by created_at, phone
             limit 1) as own_number
      from unnest(business_ids, campaign_ids)
           with ordinality as asked (business_id, campaign_id, place)
     inner join business
        on business.id = coalesce(asked.business_id, (select campaign.business_id
                                                        from campaign
                                                       where campaign.id = asked.campaign_id))
      left join campaign on campaign.id = asked.campaign_id and campaign.business_id = business.id
$$;
