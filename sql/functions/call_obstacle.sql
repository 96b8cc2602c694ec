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
