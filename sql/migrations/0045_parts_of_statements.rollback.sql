-- Only functions: nothing is lost.
do $functions$
begin
-- One page of calls, newest first, that begins before (before_at, before_id).
--
-- What is asked for narrowest leads: a telephone, a batch, an error, a campaign, else each business and status.  Where that
-- is not all that is asked for, call after call is looked at, scan_max of them at most; the page may then be cut short.
-- Where it ends is told by a row without an id, and the next one begins there.
-- A role that may not read numbers may not search by them: a phone number finds nothing.
--
-- Returns the `id` and the moment (call_moment) of each; and where the search was cut, a row of that moment and `cut_id`.
create or replace function find_calls(
    with_number text, in_business bigint, in_campaign bigint, with_statuses text[], with_error text, with_answerer text,
    in_batch bigint, since timestamptz, until timestamptz, before_at timestamptz, before_id bigint, page_max integer,
    scan_max integer
) returns table (id bigint, at timestamptz, cut_id bigint)
language sql stable security definer rows 50
as $$
    with batch as materialized (
        -- One that is too large to be sorted is looked for among the others.
        select count(*) > scan_max as is_large
          from (select from call_log where batch_id = in_batch and retry_of is null
                union all
                select from call_log where batch_id = in_batch and retry_of is not null
                limit scan_max + 1) as first
         where in_batch is not null
    ), asked as materialized (
        select case
                   when with_number is not null then 'number'
                   when in_batch is not null and not is_large then 'batch'
                   when with_error is not null then 'error'
                   when in_campaign is not null then 'campaign'
                   else 'business'
               end as lead,
               coalesce(in_batch is not null and is_large, false) as is_in_large_batch,
               coalesce(since, '-infinity') as from_at,
               -- One bound, at which a scan of an index begins; of two, one would only be a filter.
               least(before_at, until, 'infinity') as last_at,
               case when before_at < coalesce(until, 'infinity') then before_id else 0 end as last_id
          from (values (null)) as one
          left join batch on true
         where with_number is null or has_column_privilege(session_user, 'call_log', 'to_number', 'select')
    ), allowed as materialized (
        select asked.*,
               is_in_large_batch
               or lead in ('error', 'campaign', 'business') and with_answerer is not null
               or lead = 'error' and coalesce(in_campaign, in_business) is not null as is_picky
          from asked
    ), past as materialized (
        select status
          from unnest(array['completed', 'busy', 'no-answer', 'failed', 'canceled']) as status
         where status = any(coalesce(with_statuses, array[status]))
    ), place as materialized (
        select allowed.*, business.id as business_id, past.status
          from allowed
         cross join business
         cross join past
         where lead = 'business' and business.id = coalesce(in_business, business.id)
    ), own_lane as materialized (
        select lane.business_id, lane.campaign_id, lane.from_number, allowed.*
          from allowed
         cross join lane
         where lead in ('campaign', 'business')
           and with_answerer is null  -- nobody has answered what waits
           and 'queued' = any(coalesce(with_statuses, array['queued']))
           and lane.business_id = coalesce(in_business, lane.business_id)
           and lane.campaign_id = coalesce(in_campaign, lane.campaign_id)
    ), depth as materialized (
        -- What is looked at is shared out among the branches.
        select case
                   when is_picky then greatest(page_max, scan_max / greatest((select count(*) from place),
                                                                             (select count(*) from past), 1))
                   else page_max
               end as past_max,
               case
                   when is_picky then greatest(page_max, scan_max / greatest((select count(*) from own_lane), 1))
                   else page_max
               end as lane_max
          from allowed
    ), head as (
        select 'past ' || place.business_id || place.status as branch, one.id, one.at, past_max as most
          from place
         cross join depth
         cross join lateral (
               select call_log.id, coalesce(call_log.ended_at, call_log.created_at) as at
                 from call_log
                where call_log.business_id = place.business_id
                  and call_log.status = place.status
                  and call_log.status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
                  and (coalesce(call_log.ended_at, call_log.created_at), call_log.id) < (last_at, last_id)
                  and coalesce(call_log.ended_at, call_log.created_at) >= from_at
                order by coalesce(call_log.ended_at, call_log.created_at) desc, call_log.id desc
                limit past_max
         ) as one
        union all
        select 'campaign ' || past.status, one.id, one.at, past_max
          from allowed
         cross join depth
         cross join past
         cross join lateral (
               select call_log.id, coalesce(call_log.ended_at, call_log.created_at) as at
                 from call_log
                where call_log.campaign_id = in_campaign
                  and call_log.status = past.status
                  and call_log.status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
                  and (coalesce(call_log.ended_at, call_log.created_at), call_log.id) < (last_at, last_id)
                  and coalesce(call_log.ended_at, call_log.created_at) >= from_at
                order by coalesce(call_log.ended_at, call_log.created_at) desc, call_log.id desc
                limit past_max
         ) as one
         where lead = 'campaign'
        union all
        select 'error ' || past.status, one.id, one.at, past_max
          from allowed
         cross join depth
         cross join past
         cross join lateral (
               select call_log.id, coalesce(call_log.ended_at, call_log.created_at) as at
                 from call_log
                where call_log.error_code = with_error
                  and call_log.status = past.status
                  and (coalesce(call_log.ended_at, call_log.created_at), call_log.id) < (last_at, last_id)
                  and coalesce(call_log.ended_at, call_log.created_at) >= from_at
                order by coalesce(call_log.ended_at, call_log.created_at) desc, call_log.id desc
                limit past_max
         ) as one
         where lead = 'error'
        union all
        select format('lane %s %s %s', own_lane.business_id, own_lane.campaign_id, own_lane.from_number), one.id, one.at,
               lane_max
          from own_lane
         cross join depth
         cross join lateral (
               select call_log.id, call_log.due_at as at
                 from call_log
                where call_log.business_id = own_lane.business_id
                  and coalesce(call_log.campaign_id, 0) = own_lane.campaign_id
                  and call_log.from_number = own_lane.from_number
                  and call_log.status = 'queued'
                  and call_log.paused_at is null
                  and (call_log.due_at, call_log.id) < (last_at, last_id)
                  and call_log.due_at >= from_at
                order by call_log.due_at desc, call_log.id desc
                limit lane_max
         ) as one
        union all
        -- Few, however long the history is: all are looked at.
        select 'few', call.id, call_moment(call), null
          from allowed
         cross join lateral (
               -- What an operator holds by itself; what is in the air.
               select call_log.*
                 from call_log
                where call_log.status = 'queued' and call_log.paused_at is not null and lead not in ('number', 'batch')
                union all
               select call_log.*
                 from call_log
                where call_log.status in ('claimed', 'initiated', 'ringing', 'in-progress')
                  and lead not in ('number', 'batch')
                union all
               -- What waits after an error of its own; by the index of errors, and not by that of the lanes.
               select call_log.*
                 from (select call_log.*
                         from call_log
                        where call_log.error_code = with_error
                          and call_log.status = 'queued'
                          and coalesce(call_log.ended_at, call_log.created_at) is not null
                          and lead = 'error'
                        limit scan_max) as call_log
                where call_log.paused_at is null
                union all
               -- A telephone: live, dialed, never dialed, and calling us.
               select call_log.*
                 from business
                cross join lateral (
                      select call_log.*
                        from call_log
                       where call_log.business_id = business.id
                         and phone_key(call_log.to_number) = phone_key(with_number)
                         and call_log.direction = 'outbound'
                         and call_log.status in ('queued', 'claimed', 'initiated', 'ringing', 'in-progress')
                       union all
                      (select call_log.*
                         from call_log
                        where call_log.business_id = business.id
                          and phone_key(call_log.to_number) = phone_key(with_number)
                          and call_log.direction = 'outbound'
                          and call_log.dialed_at is not null
                          and call_log.status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
                        order by call_log.dialed_at desc
                        limit scan_max)
                ) as call_log
                where lead = 'number'
                union all
               (select call_log.*
                  from call_log
                 where phone_key(call_log.to_number) = phone_key(with_number)
                   and call_log.direction = 'outbound'
                   and call_log.dialed_at is null
                   and call_log.status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
                   and lead = 'number'
                 limit scan_max)
                union all
               (select call_log.*
                  from call_log
                 where phone_key(call_log.from_number) = phone_key(with_number)
                   and call_log.direction = 'inbound'
                   and lead = 'number'
                 limit scan_max)
                union all
               select call_log.*
                 from call_log
                where call_log.batch_id = in_batch and call_log.retry_of is null and lead = 'batch'
                union all
               select call_log.*
                 from call_log
                where call_log.batch_id = in_batch and call_log.retry_of is not null and lead = 'batch'
         ) as call
         where (with_statuses is null or call.status = any(with_statuses))
           and (in_business is null or call.business_id = in_business)
           and (in_campaign is null or call.campaign_id = in_campaign)
           and (with_error is null or call.error_code = with_error)
           and (with_answerer is null or call.answered_by = with_answerer)
           and (in_batch is null or call.batch_id = in_batch)
    ), counted as materialized (
        select head.*, count(*) over (partition by branch) as found from head
    ), cut as (
        -- Behind the end of a branch that goes on, nothing is known.
        select at, id
          from (select distinct on (branch) at, id from counted where found >= most order by branch, at, id) as ends
         order by at desc, id desc
         limit 1
    ), near as (
        select counted.id, counted.at
          from counted
         cross join allowed
          left join cut on true
         where (counted.at, counted.id) < (last_at, last_id)
           and (cut.id is null or (counted.at, counted.id) >= (cut.at, cut.id))
           and counted.at >= from_at
         order by counted.at desc, counted.id desc
         limit (select case when not is_picky then page_max end from allowed)
    ), page as (
        select near.id, near.at
          from near
          -- One look by the key each: as a condition, it might be answered by a look at all calls.
          left join lateral (
               select true as fits
                 from call_log
                where call_log.id = near.id
                  and (select is_picky from allowed)
                  and (with_statuses is null or call_log.status = any(with_statuses))
                  and (in_business is null or call_log.business_id = in_business)
                  and (in_campaign is null or call_log.campaign_id = in_campaign)
                  and (with_error is null or call_log.error_code = with_error)
                  and (with_answerer is null or call_log.answered_by = with_answerer)
                  and (in_batch is null or call_log.batch_id = in_batch)
                limit 1
          ) as looked_at on true
         where fits or not (select is_picky from allowed)
         order by near.at desc, near.id desc
         limit page_max
    )
    select page.id, page.at, null::bigint from page
    union all
    select null, cut.at, cut.id from cut
$$;

execute format('alter function find_calls(text, bigint, bigint, text[], text, text, bigint, timestamptz, timestamptz,'
               ' timestamptz, bigint, integer, integer) set search_path = %I, pg_temp', current_schema());

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

-- The views by which everything else reads the old tables: the same columns in each old system.
create or replace function make_old_views(old_schema text) returns void
language plpgsql
as $$
begin
    perform make_old_view('old_business', old_schema, 'business', array[
        ['id', 'bigint', 'id', '', '', ''],
        ['name', 'text', 'name', '', '', ''],
        ['phone', 'text', 'phone_number', 'phone_e164', 'phone', ''],
        ['time_zone', 'text', 'timezone', 'time_zone', '', ''],
        ['hours', 'text', 'working_hours', 'business_hours', '', ''],
        ['days', 'text', 'working_days', 'business_days', '', ''],
        ['is_active', 'boolean', 'is_active', 'active', '', '']]);
    perform make_old_view('old_settings', old_schema, 'business_settings', array[
        ['business_id', 'bigint', 'tenant_id', 'business_id', '', ''],
        ['time_zone', 'text', 'timezone', 'time_zone', 'tz', ''],
        ['hours_json', 'text', 'opening_hours_json', 'working_hours_json', 'opening_hours', 'hours_json'],
        ['hours', 'text', 'working_hours', 'business_hours', 'hours', ''],
        ['days', 'text', 'working_days', 'opening_days', 'business_days', '']]);
    perform make_old_view('old_call', old_schema, 'call_log', array[
        ['id', 'bigint', 'id', '', '', ''],
        ['business_id', 'bigint', 'business_id', 'tenant_id', '', ''],
        ['lead_id', 'bigint', 'lead_id', '', '', ''],
        ['call_sid', 'text', 'call_sid', '', '', ''],
        ['from_number', 'text', 'from_number', '', '', ''],
        ['to_number', 'text', 'to_number', '', '', ''],
        ['direction', 'text', 'direction', '', '', ''],
        ['status', 'text', 'status', '', '', ''],
        ['call_status', 'text', 'call_status', '', '', ''],
        ['error_code', 'text', 'error_code', '', '', ''],
        ['error_message', 'text', 'error_message', '', '', ''],
        ['duration', 'bigint', 'duration', 'duration_s', '', ''],
        ['customer_name', 'text', 'customer_name', '', '', ''],
        ['created_at', 'timestamp with time zone', 'created_at', '', '', ''],
        ['updated_at', 'timestamp with time zone', 'updated_at', '', '', '']]);
    perform make_old_view('old_lead', old_schema, 'leads', array[
        ['id', 'bigint', 'id', '', '', ''],
        ['business_id', 'bigint', 'tenant_id', 'business_id', '', ''],
        ['phone', 'text', 'phone_e164', 'phone', 'phone_number', ''],
        ['name', 'text', 'name', 'full_name', '', ''],
        ['first_name', 'text', 'first_name', '', '', ''],
        ['last_name', 'text', 'last_name', '', '', ''],
        ['source', 'text', 'source', '', '', ''],
        ['external_id', 'text', 'external_id', '', '', ''],
        ['status', 'text', 'status', '', '', ''],
        ['created_at', 'timestamp with time zone', 'created_at', '', '', '']]);
    perform make_old_view('old_run', old_schema, 'outbound_call_runs', array[
        ['id', 'bigint', 'id', '', '', ''],
        ['business_id', 'bigint', 'business_id', 'tenant_id', '', ''],
        ['concurrency', 'bigint', 'concurrency', '', '', ''],
        ['status', 'text', 'status', '', '', ''],
        ['cancel_requested', 'boolean', 'cancel_requested', '', '', '']]);
    perform make_old_view('old_job', old_schema, 'outbound_call_jobs', array[
        ['id', 'bigint', 'id', '', '', ''],
        ['run_id', 'bigint', 'run_id', '', '', ''],
        ['lead_id', 'bigint', 'lead_id', '', '', ''],
        ['business_id', 'bigint', 'business_id', 'tenant_id', '', ''],
        ['call_log_id', 'bigint', 'call_log_id', '', '', ''],
        ['status', 'text', 'status', '', '', ''],
        ['call_sid', 'text', 'call_sid', '', '', ''],
        ['twilio_call_sid', 'text', 'twilio_call_sid', '', '', ''],
        ['began_at', 'timestamp with time zone', 'dial_started_at', 'started_at', '', '']]);
    -- What an old call means here; of businesses that were taken over alone it says whose it is.
    execute $view$
        create view old_call_meaning as
        select old_call.id, old_call.business_id as old_business_id, own.new_id as business_id,
               business.default_region as region, old_call.lead_id as old_lead_id,
               case when call_sid ~ '^[A-Za-z0-9:_-]{10,64}$' then call_sid end as call_sid,
               coalesce(call_sid, '') !~ '^([A-Za-z0-9:_-]{10,64})?$' as has_odd_sid,
               from_number, to_number,
               case
                   when direction ilike 'outbound%' then 'outbound'
                   when direction ilike 'inbound%' then 'inbound'
                   when exists (select from business_number as caller
                                 where caller.phone = from_number and caller.business_id = own.new_id) then 'outbound'
                   when exists (select from business_number as callee
                                 where callee.phone = to_number and callee.business_id = own.new_id) then 'inbound'
               end as direction,
               status as said_status, call_status as said_call_status,
               case when is_recent_unknown then 'in-progress' else word end as word,
               coalesce(word in ('initiated', 'ringing', 'in-progress') or is_recent_unknown, false) as is_live,
               error_code, error_message, duration, began_at, touched_at
          from old_call
          left join adopted as own
            on own.kind = 'business' and own.fate = 'adopted' and own.old_id = old_call.business_id
          left join business on business.id = own.new_id
         cross join lateral (select word_of_old_call(status, call_status) as word) as said
         -- A naive time that was local lies ahead of us.
         cross join lateral (
               select least(case when old_call.created_at between '1970-01-01' and '9000-01-01' then old_call.created_at
                                 when old_call.updated_at between '1970-01-01' and '9000-01-01' then old_call.updated_at end,
                            now()) as began_at,
                      least(case when old_call.updated_at between '1970-01-01' and '9000-01-01' then old_call.updated_at
                                 when old_call.created_at between '1970-01-01' and '9000-01-01' then old_call.created_at end,
                            now()) as touched_at
         ) as times
         -- Any word that a media event brought may stand over that of a call in progress, for as long as one lasts.
         cross join lateral (
               select word is null and coalesce(call_sid, '') <> '' and touched_at > now() - interval '4 hours'
                      as is_recent_unknown
         ) as recent
    $view$;
end
$$;

-- Make `old_write_calls`, which writes our calls to the old call_log, and to the jobs from which they were adopted.
create or replace function make_old_write_calls(old_schema text) returns void
language plpgsql as $make$
declare
    here text := quote_ident(current_schema());
    calls text := format('%I.call_log', old_schema);
    leads text := format('%I.leads', old_schema);
    jobs text := format('%I.outbound_call_jobs', old_schema);
    has_jobs boolean := to_regclass(jobs) is not null;
    head text := format('create or replace function %s.old_write_calls(call_ids bigint[], wait text) returns void'
                        ' language plpgsql set search_path = %I, pg_temp set lock_timeout = ''20ms'''
                        ' set enable_seqscan = off as ', here, old_schema);
    body text;
    names text;
    vals text;
begin
    if to_regclass(calls) is null then
        execute head || quote_literal('begin end');
        return;
    end if;
    select string_agg(name, ', '), string_agg(value, ', ')
      into names, vals
      from bridge_columns(old_schema, 'call_log', array[
          ['call.old_business_id', 'business_id', 'tenant_id'],
          ['call.call_sid', 'call_sid', ''],
          ['call.from_number', 'from_number', ''],
          ['call.to_number', 'to_number', ''],
          ['call.direction', 'direction', ''],
          ['case call.direction when ''outbound'' then ''outbound-api'' else call.direction end', 'twilio_direction', ''],
          ['call.word', 'status', ''],
          ['call.call_status', 'call_status', ''],
          ['call.duration_s', 'duration', 'duration_s'],
          ['call.customer_name', 'customer_name', ''],
          ['call.error_code', 'error_code', ''],
          ['call.error_message', 'error_message', ''],
          ['call.began_at', 'created_at', ''],
          ['now()', 'updated_at', ''],
          [format('coalesce(%s, %s)',
                  case
                      when has_jobs then format('(select o.lead_id from %s as o where o.id = call.job_id)', jobs)
                      else 'null'
                  end,
                  case
                      when to_regclass(leads) is not null
                          then format('(select max(o.id) from %s as o inner join %s.adopted on adopted.old_id = o.id'
                                      ' where adopted.kind = ''lead'' and adopted.new_id = call.lead_id)', leads, here)
                      else 'null'
                  end), 'lead_id', '']]);
    body := replace(replace(replace($body$
declare
    call record;
begin
    perform set_config('lock_timeout', wait, true);
    lock table {calls} in row exclusive mode nowait;
    for call in
        select call_log.id, call_log.business_id, call_log.call_sid, call_log.from_number, call_log.to_number,
               call_log.direction, call_log.duration_s, call_log.error_code, call_log.error_message, call_log.dialed_at,
               call_log.ended_at, call_log.lead_id, call_log.contact ->> 'name' as customer_name,
               least(coalesce(call_log.dialed_at, call_log.created_at), now()) as began_at,
               -- One that went back to the queue was not sent; it is a call again when it is dialed again.
               case
                   when call_log.status in ('queued', 'claimed') then 'failed'
                   when call_log.status = 'in-progress' then 'in_progress'
                   else call_log.status
               end as word,
               case when call_log.status in ('queued', 'claimed') then 'failed' else call_log.status end as call_status,
               {here}.call_status_rank(call_log.status) = 5 as has_ended,
               call_log.direction = 'inbound' or call_log.dialed_at is not null or call_log.call_sid is not null
               or call_log.status in ('initiated', 'ringing', 'in-progress') as was_dialed,
               business.old_id as old_business_id, link.old_id as row_id, link.fate, present.id as present_id,
               twin.id as twin_id, job.old_id as job_id
          from unnest(call_ids) as wanted (id)
         inner join {here}.call_log on call_log.id = wanted.id
         inner join lateral (
               select old_id
                 from {here}.adopted
                where kind = 'business' and new_id = call_log.business_id and fate = 'adopted'
                order by old_id
                limit 1
         ) as business on true
          left join lateral (
               select old_id, fate
                 from {here}.adopted
                where kind = 'call' and new_id = call_log.id
                order by old_id desc
                limit 1
          ) as link on true
          left join {calls} as present on present.id = link.old_id
          left join lateral (
               select o.id
                 from {calls} as o
                where o.call_sid = call_log.call_sid
                  and o.call_sid <> ''
                  and present.call_sid is distinct from call_log.call_sid
                limit 1
          ) as twin on true
          left join lateral (
               select old_id
                 from {here}.adopted
                where kind = 'job'
                  and new_id = coalesce(call_log.retry_of, call_log.id)
                  and adopted.fate in ('queued_here', 'call_adopted', 'job_asked')  -- not one that its telephone held up
                limit 1
          ) as job on true
         order by call_log.id
    loop
        if call.twin_id is not null then
            -- The old program made a row for this call_sid: that one is the call's, and ours goes.
            if call.fate = 'bridged' then
                delete from {here}.adopted where kind = 'call' and old_id = call.row_id;
                {forget_row}
                delete from {calls} as o where o.id = call.row_id;
            end if;
            insert into {here}.adopted (kind, old_id, new_id, business_id, fate)
            values ('call', call.twin_id, call.id, call.business_id, 'ours')
            on conflict (kind, old_id) do update set new_id = excluded.new_id;
            call.row_id := call.twin_id;
            call.present_id := call.twin_id;
        end if;
        if call.row_id is null then
            continue when not call.was_dialed or call.call_status = 'failed' and not call.has_ended;
            insert into {calls} ({names}) values ({values}) returning id into call.row_id;
            continue when call.row_id is null;  -- a trigger of theirs wants none
            insert into {here}.adopted (kind, old_id, new_id, business_id, fate)
            values ('call', call.row_id, call.id, call.business_id, 'bridged')
            on conflict (kind, old_id) do update set new_id = excluded.new_id, fate = excluded.fate;
        elsif call.present_id is not null then  -- else they deleted it
            update {calls} as o
               set {assignments}
             where o.id = call.row_id
               and (coalesce(o.call_sid, '') = '' or call.call_sid is null or o.call_sid = call.call_sid);
        end if;
        {job}
    end loop;
    set constraints all immediate;  -- what their deferred triggers would say at the end, where it would fail us
end
$body$, '{here}', here), '{names}', names), '{values}', vals);
    body := replace(body, '{assignments}', bridge_assignments(old_schema, 'call_log', array[
        [format('%s.bridge_status({old}::text, call.word)', here), 'status', ''],
        ['call.call_status', 'call_status', ''],
        ['coalesce(nullif({old}, ''''), call.call_sid)', 'call_sid', ''],
        ['coalesce(call.duration_s, {old})', 'duration', 'duration_s'],
        ['coalesce(nullif({old}, ''''), call.customer_name)', 'customer_name', ''],
        ['call.error_code', 'error_code', ''],
        ['call.error_message', 'error_message', ''],
        ['now()', 'updated_at', '']]));
    -- A job is never 'queued' again, and 'calling' only with a call_sid: no old worker takes it then.
    body := replace(body, '{job}', case when has_jobs then format($job$
        if call.job_id is not null and (call.has_ended or call.call_sid is not null) then
            update %s as o
               set %s
             where o.id = call.job_id and o.status is distinct from 'completed';
        end if;
    $job$, jobs, bridge_assignments(old_schema, 'outbound_call_jobs', array[
        ['case when not call.has_ended then ''calling'' when call.word = ''completed'' then ''completed'' else ''failed'''
         ' end', 'status', ''],
        ['call.call_sid', 'call_sid', ''],
        ['call.call_sid', 'twilio_call_sid', ''],
        ['call.row_id', 'call_log_id', ''],
        ['call.error_message', 'error_message', ''],
        ['call.dialed_at', 'started_at', ''],
        ['case when call.has_ended then coalesce(call.ended_at, now()) end', 'completed_at', '']])) else '' end);
    body := replace(body, '{forget_row}', case when has_jobs then format(
        'update %s as o set call_log_id = call.twin_id where o.id = call.job_id and o.call_log_id = call.row_id;',
        jobs) else '' end);
    execute head || quote_literal(replace(body, '{calls}', calls));
end
$make$;

drop function if exists finite_service(float8);
drop function if exists dialable_lanes();
drop function if exists due_heads(bigint, bigint, text, bigint);
drop function if exists old_job_update(text);
drop function if exists old_calls_to_write();
drop function if exists old_call_columns(text);
drop function if exists make_old_call_meaning();
drop function if exists cancel_waiting_calls(bigint[], text, text);
drop function if exists reached_by(bigint, text);
drop function if exists dialed_since(bigint, text, timestamptz);
drop function if exists destination_fault_of_alike(text, bigint);
drop function if exists business_of_number(text);
drop function if exists rows_of_lost_call(text, text, timestamptz, float8, float8);
drop function if exists stranded_businesses(bigint);
drop function if exists first_waiting_call(lane[]);
drop function if exists situation_of_scopes(lane[]);
drop function if exists why_by_processes(bigint, float8, integer, float8);
drop function if exists why_by_limits(bigint, float8);
drop function if exists why_by_rules(bigint, float8, float8, float8);
drop function if exists why_by_status(bigint);
drop function if exists scopes_of_call(bigint, float8);
drop function if exists search_branches(text, boolean, timestamptz, timestamptz, bigint, text, bigint, bigint, text[], text, text, bigint, integer, integer);
drop function if exists few_calls(text, text, text, bigint, integer);
drop function if exists calls_of_telephone(text, integer);
drop function if exists waiting_in_lane(bigint, bigint, text, timestamptz, timestamptz, bigint, bigint);
drop function if exists ended_with_error(text, text, timestamptz, timestamptz, bigint, bigint);
drop function if exists ended_in_campaign(bigint, text, timestamptz, timestamptz, bigint, bigint);
drop function if exists ended_in_business(bigint, text, timestamptz, timestamptz, bigint, bigint);
drop function if exists plan_search(text, bigint, bigint, text, text, bigint, timestamptz, timestamptz, timestamptz, bigint, integer);
drop function if exists call_fits(call_log, text[], bigint, bigint, text, text, bigint);
drop function if exists put_in_question(bigint, text, boolean);
drop function if exists report_refusal(bigint, text, boolean, text[]);
drop function if exists may_report(call_log, text, text, text, boolean, text[]);
drop function if exists read_reports(jsonb);
drop function if exists next_attempt(call_log);
drop function if exists call_after_report(call_log, text, boolean, text, timestamptz, integer, float8, float8, float8, float8);
drop function if exists next_deadline(call_log, text, boolean, text, float8, float8, float8, float8);
drop function if exists live_call(bigint, text);
end
$functions$;
