-- How many calls and minutes an hour and a day may have, and how long a call of a campaign may last.
-- squawk-ignore-file adding-foreign-key-constraint, ban-drop-function
-- depends: 0030_destination

-- The carrier hangs up after so many seconds; NULL is OUTBOUND_TIME_LIMIT_S.
alter table campaign add column if not exists time_limit_s integer null check (time_limit_s between 10 and 86400);

-- Caps of everything (`account`), a business or a campaign; NULL is none.  A scope of dial_control, which the claim reads.
create table if not exists spend_cap (
    scope            text not null check (scope in ('account', 'business', 'campaign')),
    key              text not null,
    calls_per_hour   integer null check (calls_per_hour >= 0),
    calls_per_day    integer null check (calls_per_day >= 0),
    minutes_per_hour integer null check (minutes_per_hour >= 0),
    minutes_per_day  integer null check (minutes_per_day >= 0),
    money_per_hour   numeric null check (money_per_hour is null),  -- until prices are known
    money_per_day    numeric null check (money_per_day is null),
    primary key (scope, key),
    check (case scope when 'account' then key = '' else key ~ '^[1-9][0-9]{0,17}$' end),
    foreign key (scope, key) references dial_control (scope, key)
);

-- What calls have cost that began in an hour, or on a day: one row for each, so that no claim adds up history.
create table if not exists spend (
    scope    text not null,
    key      text not null,
    period   text not null check (period in ('hour', 'day')),
    began_at timestamptz not null,  -- by the clocks of the business; of the account, by UTC
    calls    bigint not null default 0,
    seconds  bigint not null default 0,  -- of whole minutes, as carriers count them
    primary key (scope, key, period, began_at)
) with (fillfactor = 50);

create index if not exists spend_began_at on spend (period, began_at);

-- Calls whose dial has begun and whose cost is not in `spend` yet: they count with all the time that they may take.
-- begin_dials writes here; what has ended is moved to `spend` (spend.sql).
create table if not exists spend_reserved (
    call_id     bigint primary key,
    business_id bigint not null,
    campaign_id bigint null,
    dialed_at   timestamptz not null,
    seconds     integer not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- The countries that a business has called, and since when: a new one is told.
create table if not exists country_called (
    business_id bigint not null references business (id) on delete cascade,
    region      text not null,  -- two letters; '' of a number of no country
    first_at    timestamptz not null default now(),
    primary key (business_id, region)
);

create index if not exists country_called_first_at on country_called (first_at);

-- After how many seconds the carrier hangs up: what the campaign says, else what this session's settings say
-- (pin_session); a session that says nothing may have set it to a day.
create or replace function call_limit_s(own integer) returns integer
language sql stable
return coalesce(own, nullif(current_setting('outbound.time_limit_s', true), '')::integer, 86400);

-- When the hour, or the day, of a moment began by the clocks of a zone; by UTC where this server does not know it.
create or replace function period_start(period text, at timestamptz, zone text) returns timestamptz
language sql stable
return date_trunc(period, at, coalesce(present_zone(zone), 'UTC'));

-- How many calls each cap leaves room for.  A call counts in the hour and on the day in which its dial began; until its
-- cost is known, with all the time that it may take, and so does a claim.  Calls of any time limit may come next: of those
-- of the scope the longest is reckoned with.
create or replace function spend_room()
returns table (scope text, key text, room bigint, code text, until timestamptz)
language sql stable
as $$
    with cap as materialized (
        select spend_cap.*, business.id as of_business, campaign.id as of_campaign,
               coalesce(business.time_zone, 'UTC') as zone,
               case
                   when coalesce(minutes_per_hour, minutes_per_day) is not null
                       then call_limit_s(case spend_cap.scope
                                             when 'campaign' then campaign.time_limit_s
                                             else (select greatest(call_limit_s(null), max(other.time_limit_s))
                                                     from campaign as other
                                                    where (spend_cap.scope = 'account' or other.business_id = business.id)
                                                      and coalesce(other.ends_at > now(), true))
                                         end)
               end as call_s
          from spend_cap
          left join campaign on campaign.id = case when spend_cap.scope = 'campaign' then spend_cap.key::bigint end
          left join business
            on business.id = coalesce(campaign.business_id,
                                      case when spend_cap.scope = 'business' then spend_cap.key::bigint end)
    ), period as materialized (
        select cap.scope, cap.key, cap.of_business, cap.of_campaign, cap.call_s, period.name,
               began.at as began_at,
               case period.name
                   when 'hour' then began.at + interval '1 hour'
                   else period_start('day', began.at + interval '26 hours', cap.zone)
               end as until,
               period.calls_max, period.minutes_max
          from cap
         cross join lateral (
               values ('hour', calls_per_hour, minutes_per_hour), ('day', calls_per_day, minutes_per_day)
         ) as period (name, calls_max, minutes_max)
         cross join lateral (select period_start(period.name, now(), cap.zone) as at) as began
         where coalesce(calls_max, minutes_max) is not null
    ), pending as materialized (
        -- Together for each business and campaign, and moment: few rows, whatever the number of caps.
        select business_id, campaign_id, dialed_at, count(*) as calls, sum(seconds) as seconds
          from spend_reserved
         where exists (select from period)
         group by business_id, campaign_id, dialed_at
        union all
        select call_log.business_id, call_log.campaign_id, null, count(*), sum(call_limit_s(campaign.time_limit_s))
          from call_log
          left join campaign on campaign.id = call_log.campaign_id
         where call_log.status = 'claimed' and exists (select from period)
         group by call_log.business_id, call_log.campaign_id
    ), counting as (
        select period.scope, period.key, period.name, pending.calls, pending.seconds
          from period
         inner join pending on period.scope = 'account' and coalesce(pending.dialed_at >= period.began_at, true)
        union all
        select period.scope, period.key, period.name, pending.calls, pending.seconds
          from period
         inner join pending
            on pending.business_id = period.of_business and coalesce(pending.dialed_at >= period.began_at, true)
         where period.scope = 'business'
        union all
        select period.scope, period.key, period.name, pending.calls, pending.seconds
          from period
         inner join pending
            on pending.campaign_id = period.of_campaign and coalesce(pending.dialed_at >= period.began_at, true)
    ), waiting as (
        select counting.scope, counting.key, counting.name, sum(calls) as calls, sum(seconds) as seconds
          from counting
         group by counting.scope, counting.key, counting.name
    ), used as (
        select period.*, coalesce(spend.calls, 0) + coalesce(waiting.calls, 0) as calls,
               coalesce(spend.seconds, 0) + coalesce(waiting.seconds, 0) as seconds
          from period
          left join waiting
            on waiting.scope = period.scope and waiting.key = period.key and waiting.name = period.name
          left join lateral (
               select spend.calls, spend.seconds
                 from spend
                where spend.scope = period.scope
                  and spend.key = period.key
                  and spend.period = period.name
                  and spend.began_at = period.began_at
                limit 1  -- one look by the key for each, whatever the planner takes the table's size for
          ) as spend on true
    ), part as (
        select used.scope, used.key, used.until, part.code,
               greatest(0, part.room)::bigint as room
          from used
         cross join lateral (
               values ('calls_per_' || name, calls_max - calls),
                      ('minutes_per_' || name, floor((minutes_max * 60::bigint - seconds) / call_s))
         ) as part (code, room)
         where part.room is not null
    )
    select part.scope, part.key, min(part.room),
           (array_agg(part.code order by part.until desc, part.code asc) filter (where part.room = 0))[1],
           max(part.until) filter (where part.room = 0)
      from part
     group by part.scope, part.key
$$;

-- A cap that leaves no room, in a sentence.
create or replace function spend_sentence(called text, scope text, key text, code text, until timestamptz) returns text
language sql stable
as $$
    select format('%s may have %s %s: no more fit in before %s, unless calls in the air, which count with all their'
                  ' time, end sooner.',
                  $1,
                  case $4
                      when 'calls_per_hour' then calls_per_hour
                      when 'calls_per_day' then calls_per_day
                      when 'minutes_per_hour' then minutes_per_hour
                      when 'minutes_per_day' then minutes_per_day
                  end,
                  replace($4, '_', ' '), moment_text($5))
      from spend_cap
     where spend_cap.scope = $2 and spend_cap.key = $3
$$;

-- Both at once: a claim finds the old ones or the new ones.
do $functions$
begin
drop function if exists dial_scope(float8, boolean);  -- it returns more

-- Each scope that has a row of control: how much of its limits is left at this moment.
-- Live is what may be at the carrier, or will be in a moment; `unknown` of these were closed without knowing whether a
-- phone rings, and count until that is known or the carrier must have ended them.  A scope without a row has no limit.
-- After a hold of the carrier one call at a time is tried, until it takes one.  With only_capped, as the claim asks,
-- live calls are not counted where no scope has a live_max: to count them costs more than the rest of a turn.
-- `spend_code` is the cap that leaves no room, until `spend_until` at the latest (spend_room).
create or replace function dial_scope(account_rate float8, only_capped boolean default false)
returns table (
    scope text, key text, weight float8, state text, state_reason text, hold_until timestamptz, rate float8,
    tokens float8, live_max integer, live bigint, unknown bigint, room bigint, served float8,
    served_floor float8, spend_code text, spend_until timestamptz
)
language sql stable
as $$
    with control as materialized (
        select * from dial_control  -- once: while somebody holds a snapshot, every version of every row is passed by
    ), live_call as (
        select business_id, campaign_id, from_number, false as is_unknown
          from call_log
         where status in ('claimed', 'initiated', 'ringing', 'in-progress') and direction = 'outbound'
        union all
        select business_id, campaign_id, from_number, true
          from call_log
         where status = 'failed'
           and (error_code = 'no_call_sid' and overdue_at is not null or error_code = 'several_candidates')
           and over_by > now()
           and direction = 'outbound'
    ), live as (
        select business_id, campaign_id, from_number, count(*) as calls, count(*) filter (where is_unknown) as unknown,
               grouping(business_id) as no_business, grouping(campaign_id) as no_campaign,
               grouping(from_number) as no_number
          from live_call
         where not only_capped or exists (select from control where live_max is not null)
         group by grouping sets ((), (business_id), (campaign_id), (from_number))
    ), live_by_scope as (
        select case
                   when no_business = 0 then 'business' when no_campaign = 0 then 'campaign'
                   when no_number = 0 then 'number' else 'account'
               end as scope,
               coalesce(case
                   when no_business = 0 then business_id::text when no_campaign = 0 then campaign_id::text
                   when no_number = 0 then from_number
               end, '') as key,
               calls, unknown
          from live
    ), being_tried as (
        -- The claim of a call whose nudge was lost is silent after five seconds, and a call whose worker died after
        -- twenty: then the next one is tried.  Calls begun before the hold are what the trouble was.
        select case when carrier_holds > 0 then (
                   select count(*)
                     from call_log
                    where status in ('claimed', 'initiated') and direction = 'outbound' and call_sid is null
                      and case status
                              when 'claimed' then updated_at >= now() - interval '5 s'
                              else dialed_at >= greatest(carrier_hold_until, now() - interval '20 s')
                          end
               ) end as calls
          from control
         where scope = 'account'
    ), paced as (
        select control.*,
               pace_now(coalesce(calls_per_second, case when scope = 'account' then account_rate end),
                        slow_factor, slowed_at, slowed_from) as rate
          from control
    )
    select paced.scope, paced.key, weight, state, state_reason, held.until, rate, filled.tokens, live_max,
           coalesce(live_by_scope.calls, 0), coalesce(live_by_scope.unknown, 0),
           case
               when state <> 'running' or held.until > now() then 0
               else greatest(0, least(coalesce(live_max, 1000000000) - coalesce(live_by_scope.calls, 0),
                                      floor(filled.tokens),
                                      spend.room,
                                      case when carrier_holds > 0 then 1 - being_tried.calls end))
           end::bigint,
           served, served_floor, spend.code, spend.until
      from paced
      left join being_tried on true
      left join live_by_scope on live_by_scope.scope = paced.scope and live_by_scope.key = paced.key
      left join spend_room() as spend on spend.scope = paced.scope and spend.key = paced.key
     cross join lateral (select pace_tokens(rate, paced.tokens, refilled_at) as tokens) as filled
     cross join lateral (select greatest(paced.hold_until, carrier_hold_until) as until) as held
$$;

-- Why this call is not being dialed: the first reason that holds, in a sentence that an operator can act upon, and until
-- when, where that is known.  The reasons are those of the claim (dispatch.sql), in the order in which they must be mended;
-- the arguments are what the claim is given.
create or replace function why_not_dialed(
    call_id bigint, claim_s float8 default 30, ring_s float8 default 30, worker_silent_s float8 default 10,
    claims_per_thread integer default 4, account_rate float8 default null
) returns table (code text, sentence text, until timestamptz, details jsonb)
language sql stable
as $$
    with call as (
        select call_log as whole, call_log.* from call_log where id = $1
    ), waiting as (
        select call.*, campaign.starts_at,
               coalesce(campaign.voice_url, campaign.twiml, business.voice_url, business.twiml) is not null as can_speak
          from call
         inner join business on business.id = call.business_id
          left join campaign on campaign.id = call.campaign_id
         where status = 'queued'
    ), scope as (
        -- What limits and stops this call, the widest first, and how an operator calls it.
        select own.*, control.state, control.state_reason, control.state_since, control.troubles, control.carrier_holds,
               control.carrier_hold_until, coalesce(control.slowed_at > now() - interval '60 s', false) as is_slowed,
               room.hold_until, room.rate, room.tokens, room.live_max, room.live, room.unknown, room.room,
               room.spend_code, room.spend_until
          from waiting
         cross join lateral (
               values (1, 'account', '', 'everything'),
                      (2, 'business', business_id::text, 'business ' || business_id),
                      (3, 'campaign', campaign_id::text, 'campaign ' || campaign_id),
                      (4, 'number', from_number, 'number ' || from_number)
         ) as own (place, scope, key, called)
         inner join dial_control as control on control.scope = own.scope and control.key = own.key
         inner join dial_scope($6) as room on room.scope = own.scope and room.key = own.key
    ), threads as (
        select coalesce(sum(worker.threads), 0) as alive,
               (select count(*) from call_log where status = 'claimed') as claimed
          from worker
         where seen_at > now() - make_interval(secs => $4)
    ), paused (place, called, since, reason) as (
        select 0, 'call ' || id, paused_at, null from waiting where paused_at is not null
        union all
        select place, called, state_since, state_reason from scope where state <> 'running'
    ), reason (place, code, sentence, until, details) as (
        select 0, 'unknown_call', 'There is no call ' || $1 || '.', null::timestamptz, '{}'::jsonb
         where not exists (select from call)
        union all
        select 1, 'ended',
               concat_ws(' ', 'It has ended: ' || status || coalesce(', ' || moment_text(ended_at), '') || '.',
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
               || moment_text(overdue_at) || '.',
               overdue_at, '{}'
          from call
         where status = 'claimed'
        union all
        select 4, 'paused',
               format('%s is paused since %s%s: %s `outbound resume %s` lets it go.',
                      initcap(left(called, 1)) || substr(called, 2), moment_text(since),
                      coalesce(' by ' || mover.who, ''),
                      coalesce(nullif(reason, ''), mover.details ->> 'reason', 'no reason was given.'), called),
               null,
               jsonb_build_object('paused', called, 'since', since, 'who', mover.who,
                                  'reason', coalesce(reason, mover.details ->> 'reason'))
          from (select * from paused order by place limit 1) as paused
          left join lateral (
               select who, audit.details
                 from audit
                where audit.scope = case when called = 'everything' then 'account' else split_part(called, ' ', 1) end
                  and audit.key = split_part(called, ' ', 2)
                  and action in ('pause', 'drain', 'stop')
                order by id desc
                limit 1
          ) as mover on true
        union all
        select 5, 'nothing_to_say',
               'Nobody said what the call plays: give its campaign or its business a voice URL or TwiML.', null,
               jsonb_build_object('business_id', business_id, 'campaign_id', campaign_id)
          from waiting
         where not can_speak
        union all
        select 6, 'not_started', 'Its campaign starts at ' || moment_text(starts_at) || '.', starts_at,
               jsonb_build_object('campaign_id', campaign_id)
          from waiting
         where starts_at > now()
        union all
        select 7, coalesce(held_by, 'not_due'),
               case
                   when held_by is not null
                       then coalesce(obstacle_sentence(held_by), 'It is held: ' || held_by || '.')
                            || ' It waits until ' || moment_text(due_at) || '.'
                   when put_backs > 0 and error_message is not null
                       then error_message || ' It is tried again from ' || moment_text(due_at) || ' on.'
                   when attempt > 1
                       then 'It is attempt ' || attempt || ', which is due at ' || moment_text(due_at) || '.'
                   else 'It is due at ' || moment_text(due_at) || '.'
               end,
               due_at, jsonb_build_object('due_at', due_at, 'attempt', attempt, 'put_backs', put_backs)
          from waiting
         where due_at > now()
        union all
        select 8, obstacle.code,
               coalesce(case obstacle.code
                            when 'destination_not_allowed' then destination_sentence(to_number, business_id)
                        end, obstacle_sentence(obstacle.code))
               || case
                      when is_final then ' It will be canceled in its turn.'
                      when obstacle.code = 'registry_check_old' then ''
                      when obstacle.code = 'outside_window' and opens_at is null
                          then ' No hour of the next two weeks is inside.'
                      else ' It may be dialed from ' || moment_text(obstacle.until) || ' on.'
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
        select 9, 'hold',
               case
                   when carrier_hold_until = hold_until
                       then 'The carrier is in trouble, ' || troubles || ' times in a row: nothing is dialed before '
                            || moment_text(hold_until)
                            || ', then one call is tried. `outbound resume everything` ends the wait.'
                   else format('%s is held until %s: calls are being canceled.',
                               initcap(left(called, 1)) || substr(called, 2), moment_text(hold_until))
               end,
               hold_until, jsonb_build_object('scope', scope, 'key', key, 'troubles', troubles)
          from (select * from scope where hold_until > now() order by hold_until desc limit 1) as held
        union all
        select 10, 'spend_cap',
               spend_sentence(initcap(left(called, 1)) || substr(called, 2), scope, key, spend_code, spend_until),
               spend_until, jsonb_build_object('scope', scope, 'key', key, 'cap', spend_code)
          from (select * from scope where spend_code is not null order by spend_until desc, place limit 1) as capped
        union all
        select 11, 'live_max',
               format('%s has %s calls live%s, and %s are allowed at once.',
                      initcap(left(called, 1)) || substr(called, 2), live,
                      case when unknown > 0 then ', ' || unknown || ' of them with an unknown outcome' end, live_max),
               null,
               jsonb_build_object('scope', scope, 'key', key, 'live', live, 'unknown', unknown, 'live_max', live_max)
          from (select * from scope where live >= live_max order by place limit 1) as full_scope
        union all
        select 12, 'trial', 'The carrier was in trouble: one call at a time is tried, until it takes one.', null,
               jsonb_build_object('troubles', troubles)
          from scope
         where carrier_holds > 0 and room <= 0 and tokens >= 1
        union all
        select 13, 'pace',
               format('%s may begin %s calls per second%s; the next one may begin at %s.',
                      initcap(left(called, 1)) || substr(called, 2), round(rate::numeric, 2),
                      case when is_slowed then ', slowed because the carrier answers with errors' end,
                      moment_text(next_at)),
               next_at, jsonb_build_object('scope', scope, 'key', key, 'calls_per_second', rate, 'tokens', tokens)
          from (select *, now() + make_interval(secs => (1 - tokens) / (rate * 0.75)) as next_at
                  from scope
                 where tokens < 1
                 order by next_at desc
                 limit 1) as paced
        union all
        select 14, 'no_worker', 'No worker is alive: start `outbound worker`.', null, '{}'
          from threads
         where alive = 0
        union all
        select 15, 'workers_busy',
               format('All %s worker threads are busy: %s calls are claimed for them already.', alive, claimed), null,
               jsonb_build_object('threads', alive, 'claimed', claimed)
          from threads
         where alive * $5 <= claimed
        union all
        select 16, 'due',
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
end
$functions$;
