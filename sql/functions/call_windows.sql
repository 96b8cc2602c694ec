-- The windows that a call must keep: its business's and its campaign's.
create or replace function call_windows(business_id bigint, campaign_id bigint) returns bigint[]
language sql stable
return (
    select array_remove(array[business.window_id, campaign.window_id], null)
      from business
      left join campaign on campaign.id = call_windows.campaign_id
     where business.id = call_windows.business_id
);
