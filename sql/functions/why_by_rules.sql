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
