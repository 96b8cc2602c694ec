-- business.sql: the tenants, their numbers and what they say.  Read by outbound/business.py alone.

-- name: add_business(name, time_zone, default_region, voice_url, twiml, phones, carrier_account)$
-- Returns  the id of the new business; fails where a phone is somebody's already
with added as (
    insert into business (name, time_zone, default_region, voice_url, twiml, carrier_account)
    values (:name, :time_zone, :default_region, :voice_url, :twiml, nullif(:carrier_account, ''))
    returning id, carrier_account
), paced as (
    -- Its account has a rate of its own from the first call on.
    insert into dial_control (scope, key)
    select 'business', id::text from added where carrier_account is not null
    on conflict do nothing
), numbered as (
    insert into business_number (phone, business_id)
    select phone, added.id from added, unnest(:phones::text[]) as phone
)
select id from added;

-- name: set_business(business_id, name, time_zone, default_region, voice_url, twiml, phones, carrier_account, look_back_hours)$
-- Change what is given and keep what is NULL; numbers are added, never taken away.  A voice URL replaces TwiML and
-- the other way round.  An account of '' is TWILIO_ACCOUNT_SID; calls in the air keep the one that they were dialed with.
--
-- Returns  the id, or nothing where there is no such business; fails where a phone is another's already
with changed as (
    update business
       set name = coalesce(:name, name),
           time_zone = coalesce(:time_zone, time_zone),
           default_region = coalesce(:default_region, default_region),
           look_back_hours = coalesce(:look_back_hours, look_back_hours),
           voice_url = case when :twiml::text is null then coalesce(:voice_url, voice_url) end,
           twiml = case when :voice_url::text is null then coalesce(:twiml, twiml) end,
           carrier_account = nullif(coalesce(:carrier_account, carrier_account), '')
     where id = :business_id
    returning id, carrier_account
), paced as (
    insert into dial_control (scope, key)
    select 'business', id::text from changed where carrier_account is not null
    on conflict do nothing
), numbered as (
    insert into business_number (phone, business_id)
    select given.phone, changed.id
      from changed, unnest(:phones::text[]) as given (phone)
     where not exists (select from business_number where phone = given.phone and business_id = changed.id)
)
select id from changed;

-- name: list_businesses()
select business.id, name, time_zone, default_region, look_back_hours, carrier_account, voice_url,
       twiml is not null as has_twiml,
       array(select phone from business_number where business_id = business.id order by created_at, phone) as phones
  from business
 order by id;
