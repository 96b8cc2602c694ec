-- The from-number of an attempt: of the campaign's, with local presence the one that is nearest to the callee; among
-- equals each callee has its own order, and each attempt goes on to the next.  A number that has become another
-- business's own is passed over.
create or replace function campaign_from_number(campaign_id bigint, to_number text, attempt integer) returns text
language sql stable parallel safe
as $$
    with own as (
        select phone,
               row_number() over (order by campaign.local_presence
                                           and left(phone, 5) = left($2, 5) desc,
                                           campaign.local_presence and left(phone, 3) = left($2, 3) desc,
                                           hashtextextended(phone || $2, 0), phone) - 1 as place,
               count(*) over () as numbers
          from campaign_number
         inner join campaign on campaign.id = campaign_number.campaign_id
          left join business_number using (phone)
         where campaign_number.campaign_id = $1
           and coalesce(business_number.business_id, campaign.business_id) = campaign.business_id
    )
    select phone from own where place = ($3 - 1) % numbers
$$;
