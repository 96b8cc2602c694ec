-- The key in dial_control of a lane's campaign: its id, or where the calls are of none (0), that of its business's others.
create or replace function campaign_key(campaign_id bigint, business_id bigint) returns text
language sql immutable parallel safe
return coalesce(nullif(campaign_id, 0)::text, 'of business ' || business_id);
