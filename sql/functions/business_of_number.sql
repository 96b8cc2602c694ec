-- The business that has a from-number, or else the only one of whose campaigns it is; NULL where nobody's or several's.
create or replace function business_of_number(phone text) returns bigint
language sql stable
as $$
    select coalesce((select business_id from business_number where business_number.phone = $1),
                    (select min(campaign.business_id)
                       from campaign_number
                      inner join campaign on campaign.id = campaign_id
                      where campaign_number.phone = $1
                     having count(distinct campaign.business_id) = 1))
$$;
