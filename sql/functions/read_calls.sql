-- Calls as JSON, each with its `place`, from 0, read by the rules of its business; or with the `fault` that keeps it
-- out, a sentence without its data.  `of_business` and `of_campaign` own those that name neither.
create or replace function read_calls(calls jsonb, of_business bigint, of_campaign bigint) returns table (
    place integer, business_id bigint, campaign_id bigint, from_number text, to_number text, due_at timestamptz,
    key text, contact jsonb, time_zone text, zone text, fault text
)
language sql stable
as $$
    with named as materialized (
        select place, call, fault,
               case when fault is null then (call ->> 'business_id')::bigint end as business_id,
               case when fault is null then (call ->> 'campaign_id')::bigint end as campaign_id
          from (select ordinality::integer - 1 as place, value as call, call_shape_fault(value) as fault
                  from jsonb_array_elements(calls) with ordinality) as given
    ), owned as materialized (
        select place, call, fault,
               case when coalesce(business_id, campaign_id) is null then $2 else business_id end as business_id,
               case when coalesce(business_id, campaign_id) is null then $3 else campaign_id end as campaign_id
          from named
    ), owner as materialized (
        select array_agg(business_id) as business_ids, array_agg(campaign_id) as campaign_ids
          from (select distinct business_id, campaign_id
                  from owned
                 where fault is null and coalesce(business_id, campaign_id) is not null) as asked
    ), caller as materialized (
        select asked.business_id as asked_business, asked.campaign_id as asked_campaign, found.*
          from owner
         cross join lateral unnest(business_ids, campaign_ids) with ordinality as asked (business_id, campaign_id, nth)
          left join find_callers(business_ids, campaign_ids) as found on found.place = asked.nth
    ), text as materialized (
        select owned.place, owned.fault, owned.business_id as asked_business, owned.campaign_id as asked_campaign,
               caller.id as business_id, caller.campaign_id as own_campaign, caller.has_ended, campaign.ends_at,
               caller.can_speak, caller.campaign_calls, caller.own_number, caller.twiml,
               caller.time_zone as business_zone, nullif(call ->> 'to_number', '') as to_written,
               nullif(call ->> 'from_number', '') as from_written, call ->> 'due_at' as due_written, call ->> 'key' as key,
               nullif(call -> 'contact', 'null') as contact, nullif(btrim(call ->> 'time_zone'), '') as zone_written
          from owned
          left join caller
            on caller.asked_business is not distinct from owned.business_id
           and caller.asked_campaign is not distinct from owned.campaign_id
          left join campaign on campaign.id = caller.campaign_id
    ), read as materialized (
        select text.*, read_e164(to_written) as to_number, read_e164(from_written) as from_number,
               read_moment(due_written) as due_at, read_zone(zone_written) as time_zone
          from text
    )
    select place, business_id, asked_campaign,
           case when from_written is null and not campaign_calls then own_number else from_number end,
           to_number, due_at, key,
           (select jsonb_object_agg(lower(field.key), field.value)
              from jsonb_each(case when jsonb_typeof(contact) = 'object' then contact end) as field
             where field.value not in ('null', '""')),
           time_zone,
           case
               when due_at is not null
                   then coalesce(time_zone, case when cardinality(callee_zones(to_number, null)) = 1
                                                then (callee_zones(to_number, null))[1] end, business_zone)
           end,
           case
               when fault is not null then fault
               when asked_business is null and asked_campaign is null
                   then 'say whose call this is: give a business or a campaign'
               when business_id is null and asked_campaign is null
                   then 'there is no such business: see `outbound business list`'
               when business_id is null then 'there is no such campaign: see `outbound campaign list`'
               when asked_campaign is not null and own_campaign is null
                   then format('the campaign is not one of business %s: see `outbound campaign list`', business_id)
               when has_ended
                   then format('campaign %s has ended: `outbound campaign set %1$s --ends ...`', asked_campaign)
               when not can_speak
                   then format('business %s has nothing to say: `outbound business set %1$s --twiml ...`', business_id)
               when to_written is null then '`to_number` is empty: give a phone number'
               when to_number is null
                   then '`to_number` is not read as a phone number for certain: write it in E.164, like +97231234567'
               when from_written is not null and from_number is null
                   then '`from_number` is not read as a phone number for certain: write it in E.164, like +97231234567'
               when from_written is null and not campaign_calls and own_number is null
                   then format('business %s has no number of its own: give a from number', business_id)
               when due_written is not null and due_at is null
                   then '`due_at` is not a moment with an offset: write it like 2026-11-30T09:00+02:00'
               when due_at < now() - interval '730 days'
                   then '`due_at` lies more than 2 years in the past: leave it out to call at once'
               when due_at > now() + interval '3650 days'
                   then '`due_at` lies more than 10 years ahead: give an earlier moment'
               when due_at >= ends_at
                   then format('`due_at` is not before the end of campaign %s, %s: `outbound campaign set %1$s'
                               ' --ends ...`', asked_campaign, moment_text(ends_at, business_zone))
               when key = '' then '`key` is empty: leave it out, or give the call one of its own'
               when length(key) > 255 then '`key` must be text of 255 characters at most'
               when has_unseen(key, false) then '`key` holds a character that cannot be seen: leave it out'
               when left(key, 1) || right(key, 1) ~ '[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]'
                   then '`key` begins or ends with a space: leave that out'
               when key ~ '^(retry|again):'
                   then format('`key` may not begin with %s: which is how further attempts are named',
                               split_part(key, ':', 1))
               when zone_written is not null and time_zone is null
                   then '`time_zone` is not an IANA name of today, like Asia/Jerusalem'
               else contact_fault(contact, twiml)
           end
      from read
$$;
