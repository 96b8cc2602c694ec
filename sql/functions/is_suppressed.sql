-- Is this number on the do-not-call list, or of somebody who was forgotten?
create or replace function is_suppressed(phone text, business_id bigint, campaign_id bigint) returns boolean
language sql stable parallel safe
return exists (
    select
      from suppression
     where phone_key(suppression.phone) = phone_key(is_suppressed.phone)
       and coalesce(suppression.business_id, is_suppressed.business_id) = is_suppressed.business_id
       and (suppression.campaign_id is null or suppression.campaign_id = is_suppressed.campaign_id)
) or is_forgotten(is_suppressed.phone);
