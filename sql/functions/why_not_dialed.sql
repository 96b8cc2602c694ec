-- Why this call is not being dialed: the first reason that holds, in a sentence that an operator can act upon, and until
-- when, where that is known.  The reasons are those of the claim (dispatch.sql), in the order in which they must be mended;
-- the arguments are what the claim is given.
create or replace function why_not_dialed(
    call_id bigint, claim_s float8 default 30, ring_s float8 default 30, worker_silent_s float8 default 10,
    claims_per_thread integer default 16, account_rate float8 default null, scheduler_silent_s float8 default 60
) returns table (code text, sentence text, until timestamptz, details jsonb)
language sql stable
as $$
    with call as (
        select call_log as whole, call_log.*, call_zone(to_number, time_zone, business_id) as zone
          from call_log
         where id = $1
    ), waiting as (
        select call.*, campaign.starts_at, business.carrier_account as own_account,
               coalesce(campaign.voice_url, campaign.twiml, business.voice_url, business.twiml) is not null as can_speak
          from call
         inner join business on business.id = call.business_id
          left join campaign on campaign.id = call.campaign_id
         where status = 'queued'
    ), scope as (
        -- What limits and stops this call, the widest first, and how an operator calls it.
        select own.*, waiting.zone, control.state, control.state_reason, control.state_since, control.troubles, control.carrier_holds,
               control.carrier_hold_until, coalesce(control.slowed_at > now() - interval '60 s', false) as is_slowed,
               -- A hold of the carrier's for everything is about the calls that have no account of their own.
               case when is_elsewhere then control.hold_until else room.hold_until end as hold_until, room.rate,
               room.tokens, room.live_max, room.live, room.unknown,
               case when is_elsewhere then room.calm_room else room.room end as room, room.spend_code, room.spend_until,
               is_elsewhere
          from waiting
         cross join lateral (
               values (1, 'account', '', 'everything'),
                      (2, 'business', business_id::text, 'business ' || business_id),
                      (3, 'campaign', campaign_id::text, 'campaign ' || campaign_id),
                      (4, 'number', from_number, 'number ' || from_number)
         ) as own (place, scope, key, called)
         inner join dial_control as control on control.scope = own.scope and control.key = own.key
         inner join dial_scope($6) as room on room.scope = own.scope and room.key = own.key
         cross join lateral (select own.scope = 'account' and own_account is not null as is_elsewhere) as account
    ), threads as (
        select coalesce(sum(worker.threads), 0) as alive,
               (select count(*) from call_log where status = 'claimed') as claimed
          from worker
         where seen_at > now() - make_interval(secs => $4)
    ), paused (place, called, scope, key, since, reason, zone) as (
        select 0, 'call ' || id, 'call', id::text, paused_at, null, zone from waiting where paused_at is not null
        union all
        select place, called, scope, key, state_since, state_reason, zone from scope where state <> 'running'
    ), reason (place, code, sentence, until, details) as (
        select 0, 'unknown_call', 'There is no call ' || $1 || '.', null::timestamptz, '{}'::jsonb
         where not exists (select from call)
        union all
        select 1, 'ended',
               concat_ws(' ', 'It has ended: ' || status || coalesce(', ' || moment_text(ended_at, zone), '') || '.',
                         'Error ' || error_code || ':', error_message),
               null,
               jsonb_build_object('status', status, 'ended_at', ended_at, 'error_code', error_code,
                                  'error_message', error_message)
          from call
         where call_status_rank(status) = 5
        union all
        select 2, 'in_the_air',
               case
                   when call_sid is null then 'It is being dialed: the answer of the carrier is awaited.'
                   else 'It is in the air: ' || status || '.'
               end
               || case when hang_up is not null then ' An operator has asked to hang up.' else '' end,
               null,
               jsonb_build_object('status', status, 'dialed_at', dialed_at, 'hang_up', hang_up)
          from call
         where status in ('initiated', 'ringing', 'in-progress')
        union all
        select 3, 'claimed',
               'A worker was told to dial it; should it not begin, the call is taken back at '
               || moment_text(overdue_at, zone) || '.',
               overdue_at, '{}'
          from call
         where status = 'claimed'
        union all
        select 4, 'paused',
               pause_sentence(called, null, since, who, said, zone), null,
               jsonb_build_object('paused', called, 'since', since, 'who', who, 'reason', said)
          from (select * from paused order by place limit 1) as paused
         cross join lateral last_pause(scope, key, since, reason) as mover (who, said)
        union all
        select 5, 'nothing_to_say',
               'Nobody said what the call plays: give its campaign or its business a voice URL or TwiML.', null,
               jsonb_build_object('business_id', business_id, 'campaign_id', campaign_id)
          from waiting
         where not can_speak
        union all
        select 6, 'account_missing', account_sentence(own_account, $4), null,
               jsonb_build_object('account', own_account, 'business_id', business_id)
          from waiting
         where account_sentence(own_account, $4) is not null
        union all
        select 7, 'not_started', 'Its campaign starts at ' || moment_text(starts_at, zone) || '.', starts_at,
               jsonb_build_object('campaign_id', campaign_id)
          from waiting
         where starts_at > now()
        union all
        select 8, coalesce(held_by, 'not_due'),
               case
                   when held_by is not null
                       then coalesce(obstacle_sentence(held_by), 'It is held: ' || held_by || '.')
                            || ' It waits until ' || moment_text(due_at, zone) || '.'
                   when put_backs > 0 and error_message is not null
                       then error_message || ' It is tried again from ' || moment_text(due_at, zone) || ' on.'
                   when attempt > 1
                       then 'It is attempt ' || attempt || ', which is due at ' || moment_text(due_at, zone) || '.'
                   else 'It is due at ' || moment_text(due_at, zone) || '.'
               end,
               due_at, jsonb_build_object('due_at', due_at, 'attempt', attempt, 'put_backs', put_backs)
          from waiting
         where due_at > now()
        union all
        select 9, obstacle.code,
               coalesce(case obstacle.code
                            when 'destination_not_allowed' then destination_sentence(to_number, business_id)
                        end, obstacle_sentence(obstacle.code))
               || case
                      when is_final then ' It will be canceled in its turn.'
                      when obstacle.code = 'registry_check_old' then ''
                      when obstacle.code = 'outside_window' and opens_at is null
                          then ' No hour of the next two weeks is inside.'
                      else ' It may be dialed from ' || moment_text(obstacle.until, zone) || ' on.'
                  end,
               obstacle.until, jsonb_build_object('is_final', is_final, 'zones', zones)
          from waiting
         cross join lateral (
               select call_windows(business_id, campaign_id) as windows, callee_zones(to_number, time_zone) as zones
         ) as hours
         cross join lateral (
               select case when windows <> '{}' then next_opening(windows, zones, now(), $2 + $3) end as opens_at
         ) as opening
         cross join lateral call_obstacle(whole, windows, zones, opens_at) as obstacle
        union all
        select 10, 'hold',
               case
                   when carrier_hold_until = hold_until
                       then format('The carrier is in trouble%s, %s times in a row: nothing is dialed before %s, then one'
                                   ' call is tried. `outbound resume %s` ends the wait.',
                                   case when scope = 'business' then ' with the account of ' || called end,
                                   troubles, moment_text(hold_until, zone), called)
                   else format('%s is held until %s: calls are being canceled.',
                               initcap(left(called, 1)) || substr(called, 2), moment_text(hold_until, zone))
               end,
               hold_until, jsonb_build_object('scope', scope, 'key', key, 'troubles', troubles)
          from (select * from scope where hold_until > now() order by hold_until desc limit 1) as held
        union all
        select 11, 'spend_cap',
               spend_sentence(initcap(left(called, 1)) || substr(called, 2), scope, key, spend_code, spend_until),
               spend_until, jsonb_build_object('scope', scope, 'key', key, 'cap', spend_code)
          from (select * from scope where spend_code is not null order by spend_until desc, place limit 1) as capped
        union all
        select 12, 'live_max',
               format('%s has %s calls live%s, and %s are allowed at once.',
                      initcap(left(called, 1)) || substr(called, 2), live,
                      case when unknown > 0 then ', ' || unknown || ' of them with an unknown outcome' end, live_max),
               null,
               jsonb_build_object('scope', scope, 'key', key, 'live', live, 'unknown', unknown, 'live_max', live_max)
          from (select * from scope where live >= live_max order by place limit 1) as full_scope
        union all
        select 13, 'trial', 'The carrier was in trouble: one call at a time is tried, until it takes one.', null,
               jsonb_build_object('troubles', troubles)
          from scope
         where carrier_holds > 0 and room <= 0 and tokens >= 1 and not is_elsewhere
        union all
        select 14, 'pace',
               format('%s may begin %s calls per second%s; the next one may begin at %s.',
                      initcap(left(called, 1)) || substr(called, 2), round(rate::numeric, 2),
                      case when is_slowed then ', slowed because the carrier answers with errors' end,
                      moment_text(next_at, zone)),
               next_at, jsonb_build_object('scope', scope, 'key', key, 'calls_per_second', rate, 'tokens', tokens)
          from (select *, now() + make_interval(secs => (1 - tokens) / (rate * 0.75)) as next_at
                  from scope
                 where tokens < 1
                 order by next_at desc
                 limit 1) as paced
        union all
        select 15, 'no_worker', 'No worker is alive: start `outbound worker`.', null, '{}'
          from threads
         where alive = 0
        union all
        select 16, 'no_scheduler', scheduler_sentence($7), null, '{}'
         where scheduler_sentence($7) is not null
        union all
        select 17, 'workers_busy',
               format('All %s worker threads are busy: %s calls are claimed for them already.', alive, claimed), null,
               jsonb_build_object('threads', alive, 'claimed', claimed)
          from threads
         where alive * $5 <= claimed
        union all
        select 18, 'due',
               'It is due and will be taken in its turn: ' || before.calls || ' due calls are before it in its lane.',
               null, jsonb_build_object('before', before.calls)
          from waiting
         cross join lateral (
               select count(*) as calls
                 from call_log as other
                where other.business_id = waiting.business_id
                  and coalesce(other.campaign_id, 0) = coalesce(waiting.campaign_id, 0)
                  and other.from_number = waiting.from_number
                  and other.status = 'queued'
                  and other.paused_at is null
                  and (other.due_at, other.id) < (waiting.due_at, waiting.id)
         ) as before
    )
    select code, sentence, until, details from reason order by place limit 1
$$;
