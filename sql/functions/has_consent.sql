-- Has this person agreed to be called by this business, and is that valid now?
create or replace function has_consent(business_id bigint, phone text) returns boolean
language sql stable parallel safe
return exists (
    select
      from consent
     where consent.business_id = has_consent.business_id
       and phone_key(consent.phone) = phone_key(has_consent.phone)
       and consent.revoked_at is null
       and consent.given_at <= now()
       and (consent.expires_at is null or consent.expires_at > now())
);
