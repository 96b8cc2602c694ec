-- What an ended campaign leaves in the queue is canceled, and a call that is due behind its campaign's end is not taken.
-- SQL moves a call that waits.
-- depends: 0075_no_empty_keys

-- Why this call may not be dialed now, whatever the limits: no row where nothing is in its way.  What is final closes
-- the call; anything else makes it due at `until`.  `opening` is next_opening of its windows and zones.  Nothing here
-- may raise, whatever the call, its history or its campaign holds: a dialed_at in the future is read as now().
create or replace function call_obstacle(call call_log, window_ids bigint[], zones text[], opening timestamptz)
returns table (code text, until timestamptz, is_final boolean)
language sql stable
as $$
    with rule as (
        select campaign.ends_at, campaign.consent_required, campaign.registry_max_age_days,
               retry_ladder.attempts_per_day_max, retry_ladder.attempts_per_week_max
          from business
          left join campaign on campaign.id = $1.campaign_id
          left join retry_ladder on retry_ladder.id = coalesce(campaign.ladder_id, business.ladder_id)
         where business.id = $1.business_id
    ), tried as (
        select (select least(dialed_at, now()) + interval '1 day'
                  from call_log
                 where business_id = $1.business_id and phone_key(to_number) = phone_key($1.to_number) and direction = 'outbound'
                   and dialed_at > now() - interval '1 day' and id <> $1.id
                 order by dialed_at desc
                offset attempts_per_day_max - 1
                 limit 1) as day_until,
               (select least(dialed_at, now()) + interval '7 days'
                  from call_log
                 where business_id = $1.business_id and phone_key(to_number) = phone_key($1.to_number) and direction = 'outbound'
                   and dialed_at > now() - interval '7 days' and id <> $1.id
                 order by dialed_at desc
                offset attempts_per_week_max - 1
                 limit 1) as week_until
          from rule
         where attempts_per_day_max is not null
    ), obstacle as materialized (  -- else its look-ups are done again wherever its code is mentioned
        select case
                   when ends_at <= now() then 'campaign_ended'
                   when ends_at <= $1.due_at then 'campaign_ends_first'
                   when is_suppressed($1.to_number, $1.business_id, $1.campaign_id) then 'suppressed'
                   when destination.fault is not null then destination.fault
                   when consent_required and not has_consent($1.business_id, $1.to_number) then 'no_consent'
                   when registry_check.is_listed and not has_consent($1.business_id, $1.to_number)
                       then 'registry_listed'
                   when registry_max_age_days is not null
                       and not coalesce(registry_check.checked_at
                                        > now() - make_interval(days => least(registry_max_age_days, 36500)), false)
                       and not has_consent($1.business_id, $1.to_number)
                       then 'registry_check_old'
                   when $2 <> '{}' and $3 = '{}' then 'no_time_zone'
                   when $1.time_zone is not null and present_zone($1.time_zone) is null then 'no_time_zone'
                   when $2 <> '{}' and $4 is null and not are_time_zones($3) then 'no_time_zone'
                   when week_until > now() then 'attempts_per_week'
                   when day_until > now() then 'attempts_per_day'
                   when $2 <> '{}' and coalesce($4 > now(), true) then 'outside_window'
               end as code,
               day_until, week_until
          from rule
         cross join destination_fault($1.to_number, $1.business_id) as destination
          left join tried on true
          left join registry_check
            on registry_max_age_days is not null and phone_key(registry_check.phone) = phone_key($1.to_number)
    )
    select code,
           case code
               when 'attempts_per_week' then week_until
               when 'attempts_per_day' then day_until
               when 'registry_check_old' then now() + interval '15 minutes'
               when 'outside_window' then coalesce($4, now() + interval '14 days')
           end,
           code in ('campaign_ended', 'campaign_ends_first', 'suppressed', 'not_dialable', 'destination_not_allowed',
                    'no_consent', 'registry_listed', 'no_time_zone')
      from obstacle
     where code is not null
$$;

-- A code in words that an operator can act upon.
create or replace function obstacle_sentence(code text) returns text
language sql immutable parallel safe
return case code
    when 'campaign_ended' then 'Its campaign has ended.'
    when 'campaign_ends_first' then 'Its campaign ends before it is due.'
    when 'suppressed' then 'The number is on a do-not-call list.'
    when 'not_dialable'
        then 'The number begins like an emergency number or a call abroad, or is as short as a short code:'
             ' it is never dialed.'
    when 'destination_not_allowed'
        then 'Calls to this destination are not allowed: see `outbound destination list`.'
    when 'no_consent' then 'The campaign demands consent, and none is on record or it has expired.'
    when 'registry_listed' then 'The do-not-call registry lists the number, and there is no consent.'
    when 'registry_check_old' then 'The number must be checked against the do-not-call registry again.'
    when 'no_time_zone'
        then 'The callee''s time zone cannot be told: state time_zone, by a name that this PostgreSQL knows.'
    when 'attempts_per_week' then 'The callee was tried as often as one week allows.'
    when 'attempts_per_day' then 'The callee was tried as often as one day allows.'
    when 'outside_window' then 'It is outside the calling hours at the callee''s.'
end;

-- What in a call that waits, its campaign or its business keeps it from being dialed (why_not_dialed), whatever the limits.
create or replace function why_by_rules(call_id bigint, claim_s float8, ring_s float8, worker_silent_s float8)
returns table (place integer, code text, sentence text, until timestamptz, details jsonb)
language sql stable
as $$
    with waiting as (
        select call_log as whole, call_log.*, call_zone(to_number, call_log.time_zone, call_log.business_id) as zone,
               campaign.starts_at, campaign.ends_at, business.carrier_account as own_account,
               call_windows(call_log.business_id, call_log.campaign_id) as windows,
               callee_zones(to_number, call_log.time_zone) as zones,
               coalesce(campaign.voice_url, campaign.twiml, business.voice_url, business.twiml) is not null as can_speak
          from call_log
         inner join business on business.id = call_log.business_id
          left join campaign on campaign.id = call_log.campaign_id
         where call_log.id = $1 and status = 'queued'
    ), opening as (
        select opens_at, windows <> '{}' and opens_at is null as is_never
          from waiting
         cross join lateral (
               select case
                          when windows <> '{}' then next_opening(windows, zones, now(), claim_s + ring_s)
                      end as opens_at
         ) as hour
    )
    select 5, 'nothing_to_say',
           'Nobody said what the call plays: give its campaign or its business a voice URL or TwiML.',
           null::timestamptz,
           jsonb_build_object('business_id', business_id, 'campaign_id', campaign_id)
      from waiting
     where not can_speak
    union all
    select 6, 'account_missing', account_sentence(own_account, worker_silent_s), null,
           jsonb_build_object('account', own_account, 'business_id', business_id)
      from waiting
     where account_sentence(own_account, worker_silent_s) is not null
    union all
    select 7, 'not_started', 'Its campaign starts at ' || moment_text(starts_at, zone) || '.', starts_at,
           jsonb_build_object('campaign_id', campaign_id)
      from waiting
     where starts_at > now()
    union all
    select 8, coalesce(held_by, 'not_due'),
           case
               when held_by = 'outside_window' and is_never
                   then obstacle_sentence(held_by) || ' No hour of the next two weeks is inside.'
               when held_by is not null
                   then coalesce(obstacle_sentence(held_by), 'It is held: ' || held_by || '.')
                        || ' It waits until ' || moment_text(due_at, zone) || '.'
               when put_backs > 0 and error_message is not null
                   then error_message || ' It is tried again from ' || moment_text(due_at, zone) || ' on.'
               when attempt > 1
                   then 'It is attempt ' || attempt || ', which is due at ' || moment_text(due_at, zone) || '.'
               else 'It is due at ' || moment_text(due_at, zone) || '.'
           end,
           due_at,
           jsonb_build_object('due_at', due_at, 'attempt', attempt, 'put_backs', put_backs)
           || case when held_by = 'outside_window' and is_never then '{"is_never": true}' else '{}' end::jsonb
      from waiting
     cross join opening
     where due_at > now()
    union all
    -- What is final comes before a pause and before its time, after which it is canceled all the same.  Clean-up cancels
    -- what a campaign leaves at its end; the claim cancels all else, in the call's turn.
    select case when is_final then 3 else 9 end, obstacle.code,
           coalesce(case obstacle.code
                        when 'destination_not_allowed' then destination_sentence(to_number, business_id)
                    end, obstacle_sentence(obstacle.code))
           || case
                  when is_final
                      then coalesce(' Unless that changes, it will be canceled at ' || moment_text(final.at, zone) || '.',
                                    ' Unless that changes, it will be canceled in its turn, from '
                                    || moment_text(final.not_before, zone) || ' on.',
                                    ' It will be canceled in its turn.')
                  when obstacle.code = 'registry_check_old' then ''
                  when obstacle.code = 'outside_window' and is_never
                      then ' No hour of the next two weeks is inside.'
                  else ' It may be dialed from ' || moment_text(obstacle.until, zone) || ' on.'
              end,
           obstacle.until,
           jsonb_build_object('is_final', is_final, 'zones', zones)
           || case
                  when is_final
                      then jsonb_build_object('canceled_at', final.at, 'canceled_from', final.not_before)
                  else '{}'
              end
      from waiting
     cross join opening
     cross join lateral call_obstacle(whole, windows, zones, opens_at) as obstacle
     cross join lateral (
           select case when obstacle.code = 'campaign_ends_first' then ends_at end as at,
                  case when obstacle.code <> 'campaign_ended' and due_at > now() then due_at end as not_before
     ) as final
$$;

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

-- When a call is due, as sentences have it, by the clocks of call_zone.
create or replace function due_text(call call_log) returns text
language sql stable
return moment_text(call.due_at, call_zone(call.to_number, call.time_zone, call.business_id));

-- Have a call that waits dialed from another moment on: ISO 8601 with an offset, or `now`.  Whatever held it is asked
-- again then.
--
-- Moves    nothing: queued, due at another time
-- Returns  a JSON object: `due` as sentences have it, `was_due_at`, and is it held (`is_paused`); or the `fault`, and
--          nothing was changed
-- Races    the claim: the first to lock the row has it.  A claim that comes first has moved it to 'claimed', and it is
--          not moved here; one that had looked at it before this committed reads the row again, and leaves it until it
--          is due (claim_due_calls)
-- Undo     the same, with the moment before
create or replace function reschedule_call(call_id bigint, due_at text, reason text default null, by text default null)
returns jsonb
language plpgsql
as $$
declare
    call call_log;
    campaign_ends timestamptz;
    actor text := coalesce(nullif(by, ''), nullif(current_setting('outbound.by', true), ''), session_user);
    at timestamptz := case when due_at = 'now' then now() else read_moment(due_at) end;
begin
    if greatest(length(reason), length(by)) > 200 or has_unseen(concat(reason, by), false) then
        return jsonb_build_object('fault', 'the reason and the name must be one line of 200 characters at most each');
    end if;
    if at is null then
        return jsonb_build_object('fault', '`due_at` is not a moment with an offset: write it like'
                                           ' 2026-11-30T09:00+02:00, or now');
    elsif at < now() - interval '1 minute' then
        return jsonb_build_object('fault', '`due_at` is past: give a moment to come, or now');
    elsif at > now() + interval '3650 days' then
        return jsonb_build_object('fault', '`due_at` lies more than 10 years ahead: give an earlier moment');
    end if;
    select * into call from call_log where id = reschedule_call.call_id for update;
    if call.id is null then
        return jsonb_build_object('fault', 'there is no such call: see `outbound calls`');
    elsif call.direction <> 'outbound' then
        return jsonb_build_object('fault', format('call %s came in: it is not dialed', call.id));
    elsif call.status <> 'queued' then
        return jsonb_build_object('fault', format('call %s does not wait any more: %s', call.id, call.status)
                                           || case
                                                  when call_status_rank(call.status) = 5
                                                      then '; `outbound call retry` makes it again'
                                                  else ''
                                              end);
    end if;
    select ends_at into campaign_ends from campaign where id = call.campaign_id;
    if campaign_ends <= at then
        return jsonb_build_object('fault', format(
            'its campaign ends before, at %s: `outbound campaign set %s --ends ...`',
            moment_text(campaign_ends, call_zone(call.to_number, call.time_zone, call.business_id)), call.campaign_id
        ));
    end if;
    update call_log set due_at = at, held_by = null where id = call.id and status = 'queued';
    insert into audit (who, action, scope, key, details)
    values (actor, 'reschedule', 'call', call.id::text,
            jsonb_build_object('from', call.due_at, 'to', at, 'reason', nullif(reschedule_call.reason, '')));
    perform pg_notify('outbound_due', '');
    return jsonb_build_object('due', moment_text(at, call_zone(call.to_number, call.time_zone, call.business_id)),
                              'was_due_at', call.due_at, 'is_paused', call.paused_at is not null);
end
$$;

comment on function due_text is
    'When a call is due, as sentences have it.';
comment on function reschedule_call is
    'Have a call that waits dialed from another moment on.';
comment on column duty.name is
    'claimed, no_call_sid, no_lead, campaign_ended (rules of clean-up), reconcile or hang_up.';

-- Applications call it, with a search_path of their own.
do $$
begin
    execute format('alter function reschedule_call(bigint, text, text, text) set search_path = %I, pg_temp',
                   current_schema());
end
$$;
