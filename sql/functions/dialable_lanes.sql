-- The lanes whose calls have something to say and whose campaign has started: with the key of their campaign in
-- dial_control, the account of their business, and the windows that rule them.
create or replace function dialable_lanes()
returns table (
    business_id bigint, campaign_id bigint, from_number text, campaign_key text, carrier_account text,
    window_ids bigint[]
)
language sql stable
as $$
    select lane.business_id, lane.campaign_id, lane.from_number,
           campaign_key(lane.campaign_id, lane.business_id), business.carrier_account,
           call_windows(lane.business_id, lane.campaign_id)
      from lane
     inner join business on business.id = lane.business_id
      left join campaign on campaign.id = lane.campaign_id
     where coalesce(campaign.voice_url, campaign.twiml, business.voice_url, business.twiml) is not null
       and coalesce(campaign.starts_at <= now(), true)
$$;
