-- business.sql: the tenants, their numbers and what they say.  Read by outbound/rules/business.py alone.

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
-- Update the columns that are given and keep those that are NULL; numbers are added, never taken away.  A voice URL replaces TwiML and
-- the other way round.  An account of '' is TWILIO_ACCOUNT_SID; calls in the air keep the one that they were dialed with.
--
-- Returns  the names of what is another now, or nothing where there is no such business; fails where a phone is
--          another's already
with before as materialized (
    select * from business where id = :business_id for update
), changed as (
    update business
       set name = coalesce(:name, business.name),
           time_zone = coalesce(:time_zone, business.time_zone),
           default_region = coalesce(:default_region, business.default_region),
           look_back_hours = coalesce(:look_back_hours, business.look_back_hours),
           voice_url = case when :twiml::text is null then coalesce(:voice_url, business.voice_url) end,
           twiml = case when :voice_url::text is null then coalesce(:twiml, business.twiml) end,
           carrier_account = nullif(coalesce(:carrier_account, business.carrier_account), '')
      from before
     where business.id = before.id
    returning business.id, business.carrier_account,
              array_remove(array[
                  case when business.name is distinct from before.name then 'name' end,
                  case when business.time_zone is distinct from before.time_zone then 'time_zone' end,
                  case when business.default_region is distinct from before.default_region then 'default_region' end,
                  case when business.look_back_hours is distinct from before.look_back_hours
                       then 'look_back_hours' end,
                  case when business.voice_url is distinct from before.voice_url then 'voice_url' end,
                  case when business.twiml is distinct from before.twiml then 'twiml' end,
                  case when business.carrier_account is distinct from before.carrier_account then 'account' end
              ], null) as names
), paced as (
    insert into dial_control (scope, key)
    select 'business', id::text from changed where carrier_account is not null
    on conflict do nothing
), numbered as (
    insert into business_number (phone, business_id)
    select given.phone, changed.id
      from changed, unnest(:phones::text[]) as given (phone)
     where not exists (select from business_number where phone = given.phone and business_id = changed.id)
    returning phone
)
select names || case when exists (select from numbered) then array['phones'] else '{}' end from changed;

-- name: owners_of_numbers(phones)
-- Returns  whose each of these numbers is that is a business's
select phone, business_id from business_number where phone = any(:phones::text[]);

-- name: list_businesses(business_id, before_id, page_max)
-- Returns  a page of all businesses, the newest first, or one: a range of ids, which the primary key has whatever is
--          asked for; all of them where page_max is NULL
select business.id, name, time_zone, default_region, look_back_hours, carrier_account, voice_url,
       twiml is not null as has_twiml,
       array(select phone from business_number where business_id = business.id order by created_at, phone) as phones
  from business
 where id between coalesce(:business_id::bigint, 0)
              and coalesce(:business_id::bigint, 9223372036854775807)
   and id < coalesce(:before_id::bigint, 9223372036854775807)
 order by id desc
 limit :page_max::bigint;

-- name: show_business(business_id)^
-- Returns  a business without what not every role may see, or nothing
select business.id, business.name, business.time_zone, business.default_region, business.created_at,
       business.look_back_hours, retry_ladder.name as retry_policy, calling_window.name as window_name
  from business
  left join retry_ladder on retry_ladder.id = business.ladder_id
  left join calling_window on calling_window.id = business.window_id
 where business.id = :business_id;

-- name: words_of_business(business_id)^
-- Returns  the rest of a business: its numbers, what it plays, and what limits and holds it
select array(select phone from business_number where business_id = business.id order by created_at, phone) as phones,
       carrier_account, voice_url, twiml, coalesce(control.state, 'running') as state, control.state_reason,
       control.state_since, control.calls_per_second, control.live_max, coalesce(control.weight, 1) as weight,
       cap.calls_per_hour, cap.calls_per_day, cap.minutes_per_hour, cap.minutes_per_day,
       array(select place || case when allowed then '' else ' (closed)' end
               from destination
              where destination.business_id = business.id
              order by place) as destinations
  from business
  left join dial_control as control on control.scope = 'business' and control.key = business.id::text
  left join spend_cap as cap on cap.scope = 'business' and cap.key = business.id::text
 where business.id = :business_id;

-- name: count_live(business_id)
-- Returns  how many of its calls wait, up to 100,000, and are in the air
select status, count(*) as calls
  from (select status
          from call_log
         where business_id = :business_id and status in ('claimed', 'initiated', 'ringing', 'in-progress')
        union all
        (select status
           from call_log
          where business_id = :business_id and direction = 'outbound' and status = 'queued'
          limit 100000)) as live
 group by status
 order by status;

-- name: campaigns_of(business_id, newest_max)
-- Returns  the newest campaigns of a business, the oldest of them first; all where newest_max is NULL
select id, name, starts_at, ends_at
  from (select id, name, starts_at, ends_at
          from campaign
         where business_id = :business_id
         order by id desc
         limit :newest_max::bigint) as newest
 order by id;
