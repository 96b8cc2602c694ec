-- campaign.sql: numbers, text, retry policy, rate and dates of campaigns.  Read by outbound/rules/campaign.py alone.

-- name: add_campaign(business_id, given, phones, who)$
-- Write a campaign, its numbers and its pace; `given` holds its columns and those of its row of control.
--
-- Returns  its id, or nothing where there is no such business; fails where the business has one of that name
with added as (
    insert into campaign (business_id, name, voice_url, twiml, ladder_id, local_presence, machine_detection,
                          consent_required, registry_max_age_days, starts_at, ends_at, time_limit_s)
    select business.id, given.name, given.voice_url, given.twiml, given.ladder_id,
           coalesce(given.local_presence, false), given.machine_detection, coalesce(given.consent_required, false),
           given.registry_max_age_days, given.starts_at, given.ends_at, given.time_limit_s
      from business, jsonb_populate_record(null::campaign, :given) as given
     where business.id = :business_id
    returning id
), numbered as (
    insert into campaign_number (campaign_id, phone) select id, phone from added, unnest(:phones::text[]) as phone
), paced as (
    insert into dial_control (scope, key, calls_per_second, live_max, weight)
    select 'campaign', id::text, given.calls_per_second, given.live_max, coalesce(given.weight, 1)
      from added, jsonb_populate_record(null::dial_control, :given) as given
), noted as (
    insert into audit (who, action, scope, key, details)
    select :who, 'campaign.add', 'campaign', id::text, :given::jsonb || jsonb_build_object('numbers', :phones::text[])
      from added
)
select id from added;

-- name: set_campaign(campaign_id, given, phones, dropped, who)$
-- Change what is in `given`, where NULL takes a thing away, and keep the rest; numbers are added, and dropped.
--
-- Returns  the names of what is another now, or nothing where there is no such campaign; fails where its business has
--          another of that name
with before as materialized (
    select campaign.id, to_jsonb(campaign) as is_so
      from campaign
     where id = :campaign_id
       for update
), pace_before as materialized (
    select to_jsonb(dial_control) as is_so
      from dial_control
     where scope = 'campaign' and key = :campaign_id::bigint::text
), changed as (
    update campaign
       set (name, voice_url, twiml, ladder_id, local_presence, machine_detection, consent_required,
            registry_max_age_days, starts_at, ends_at, time_limit_s)
           = (select given.name, given.voice_url, given.twiml, given.ladder_id, given.local_presence,
                     given.machine_detection, given.consent_required, given.registry_max_age_days, given.starts_at,
                     given.ends_at, given.time_limit_s
                from jsonb_populate_record(campaign, :given) as given)
      from before
     where campaign.id = before.id
    returning campaign.id, before.is_so as was, to_jsonb(campaign) as is_so
), numbered as (
    insert into campaign_number (campaign_id, phone)
    select id, phone from changed, unnest(:phones::text[]) as phone
    on conflict do nothing
    returning phone
), unnumbered as (
    delete from campaign_number using changed
     where campaign_id = changed.id and phone = any(:dropped::text[]) and phone <> all(:phones::text[])
    returning phone
), paced as (
    insert into dial_control (scope, key, calls_per_second, live_max, weight)
    select 'campaign', id::text, given.calls_per_second, given.live_max, coalesce(given.weight, 1)
      from changed, jsonb_populate_record(null::dial_control, :given) as given
     where :given::jsonb ?| array['calls_per_second', 'live_max', 'weight']
    on conflict (scope, key) do update
       set (calls_per_second, live_max, weight)
           = (select given.calls_per_second, given.live_max, given.weight
                from jsonb_populate_record(dial_control, :given) as given)
    returning (select is_so from pace_before) as was, to_jsonb(dial_control) as is_so
), noted as (
    insert into audit (who, action, scope, key, details)
    select :who, 'campaign.set', 'campaign', id::text,
           :given::jsonb || jsonb_build_object('numbers', :phones::text[], 'dropped', :dropped::text[])
      from changed
), other as (
    select now.key
      from changed cross join jsonb_each(changed.is_so) as now
     where now.value is distinct from changed.was -> now.key
    union all
    select now.key
      from paced cross join jsonb_each(paced.is_so) as now
     where now.key in ('calls_per_second', 'live_max', 'weight')
       and now.value is distinct from
           coalesce(paced.was -> now.key, case now.key when 'weight' then to_jsonb(1) else 'null'::jsonb end)
    union all
    select 'phones' where exists (select from numbered union all select from unnumbered)
)
select array(select key from other order by key) from changed;

-- name: find_business(business_id)^
-- Returns  what is needed to know of the business of a campaign, or nothing
select id, time_zone, default_region, coalesce(voice_url, twiml) is not null as can_speak
  from business
 where id = :business_id;

-- name: find_retry_policy(business_id, name)$
-- Returns  the id of the business's retry policy of this name, or of this id; or nothing
select id
  from retry_ladder
 where business_id = :business_id and (name = :name or id::text = :name)
 order by name <> :name
 limit 1;

-- name: numbers_of_others(business_id, phones)
-- Returns  those of the numbers that are another business's own: nobody calls with a neighbour's number
select phone from business_number where phone = any(:phones::text[]) and business_id <> :business_id;

-- name: numbers_not_own(business_id, campaign_id, phones)
-- Returns  those of the numbers that are neither the business's own nor the campaign's already: what a tenant may not add
select phone
  from unnest(:phones::text[]) as given (phone)
 where not exists (select from business_number as own where own.phone = given.phone and own.business_id = :business_id)
   and not exists (select from campaign_number as there
                    where there.phone = given.phone and there.campaign_id = :campaign_id::bigint);

-- name: list_campaigns(campaign_id, business_id, before_id, page_max)
-- Returns  the campaign that is asked for, or a page of a business's or of all, the newest first
with place as materialized (
    -- Where the planner does not know them, it takes each arm's index in its order; and where the order begins with the
    -- business, and the business is a range, no other index has it.
    select coalesce(:before_id::bigint, 9223372036854775807) as last_id, :page_max::bigint as most
), campaign as (
    (select * from campaign where id = :campaign_id::bigint)
    union all
    (select *
       from campaign
      where business_id between :business_id::bigint and :business_id::bigint
        and :campaign_id::bigint is null
        and id < (select last_id from place)
      order by business_id desc, id desc
      limit (select most from place))
    union all
    (select *
       from campaign
      where :business_id::bigint is null
        and :campaign_id::bigint is null
        and id < (select last_id from place)
      order by id desc
      limit (select most from place))
)
select campaign.id, campaign.business_id, campaign.name, campaign.voice_url, campaign.twiml, local_presence,
       machine_detection, consent_required, registry_max_age_days, starts_at, ends_at, time_limit_s,
       campaign.window_id,
       campaign.created_at, business.name as business, business.default_region, business.time_zone,
       (select name from retry_ladder where retry_ladder.id = campaign.ladder_id) as retry_policy,
       calls_per_second, live_max, coalesce(weight, 1) as weight, coalesce(state, 'running') as state,
       coalesce(campaign.ends_at <= now(), false) as has_ended,
       array(select phone from campaign_number where campaign_id = campaign.id order by phone) as phones
  from campaign
 -- One look by the key for each, whatever the planner takes the length of a page for.
 cross join lateral (
       select name, default_region, time_zone from business where business.id = campaign.business_id limit 1
 ) as business
  left join lateral (
       select calls_per_second, live_max, weight, state
         from dial_control
        where scope = 'campaign' and key = campaign.id::text
        limit 1
 ) as control on true
 order by campaign.id desc;

-- name: calls_behind_end(campaign_id)$
-- Returns  how many calls of the campaign wait that it ends before
select count(*)
  from campaign
 inner join call_log on call_log.campaign_id = campaign.id and call_log.status = 'queued'
 where campaign.id = :campaign_id
   and campaign.ends_at <= greatest(now(), call_log.due_at);

-- name: count_calls(campaign_id)
-- Returns  how many calls of the campaign are in each status; each attempt is a call
select status, count(*) as calls
  from call_log
 where campaign_id = :campaign_id
 group by status
 order by call_status_rank(status), status;
