-- What a person with psql asks first, as views: what waits and why, which calls are overdue, how much of each limit is
-- used.
--
--     select business_id, state, sum(calls) from queue_load group by 1, 2 order by 1, 2;
--     select call_id, rule, now() - overdue_at as late from stale_calls order by overdue_at limit 20;
--     select scope, business_id, campaign_id, live, live_max, pace, room, used_up_cap from scope_usage;
-- depends: 0042_comments

-- What each spend cap allows in this hour and on this day, and what is used of it.  A call counts in the hour and on
-- the day in which its dial began; until its cost is known, with all the time that it may take, and so does a claim.
create or replace view cap_usage as
with cap as materialized (
    select spend_cap.*, business.id as of_business, campaign.id as of_campaign,
           coalesce(business.time_zone, 'UTC') as zone,
           case
               when coalesce(minutes_per_hour, minutes_per_day) is not null
                   then call_limit_s(case spend_cap.scope
                                         when 'campaign' then campaign.time_limit_s
                                         else (select greatest(call_limit_s(null), max(other.time_limit_s))
                                                 from campaign as other
                                                where (spend_cap.scope = 'account'
                                                       or other.business_id = business.id)
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
    select call_log.business_id, call_log.campaign_id, null::timestamptz as dialed_at, count(*) as calls,
           sum(call_limit_s(campaign.time_limit_s)) as seconds
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
)
select period.scope, period.key, period.name as period, period.until, period.calls_max, period.minutes_max,
       period.call_s,
       coalesce(spend.calls, 0) + coalesce(waiting.calls, 0) as calls,
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
  ) as spend on true;

-- How many calls the spend caps of a scope leave room for: the longest of the scope is reckoned with, as calls of any
-- time limit may come next.  `code` is the cap that leaves none, until `until` at the latest.
create or replace view cap_room as
with part as (
    select cap_usage.scope, cap_usage.key, cap_usage.until, part.code, greatest(0, part.room)::bigint as room
      from cap_usage
     cross join lateral (
           values ('calls_per_' || period, calls_max - calls),
                  ('minutes_per_' || period, floor((minutes_max * 60::bigint - seconds) / call_s))
     ) as part (code, room)
     where part.room is not null
)
select scope, key, min(room) as room,
       (array_agg(code order by until desc, code asc) filter (where room = 0))[1] as code,
       max(until) filter (where room = 0) as until
  from part
 group by scope, key;

-- The view cap_room, for dial_scope and others that were written before it.
create or replace function spend_room()
returns table (scope text, key text, room bigint, code text, until timestamptz)
language sql stable
as $$
    select cap_room.scope, cap_room.key, cap_room.room, cap_room.code, cap_room.until from cap_room
$$;

-- Each scope that has a row of control: how much of its limits and caps is used.  With the owner's rights: a number is
-- shown to those who may read numbers.  OUTBOUND_ACCOUNT_RATE, which only the processes know, is not in it.
create or replace function scope_usage_now()
returns table (
    scope text, business_id bigint, campaign_id bigint, from_number text, state text, live bigint, live_max integer,
    calls_per_second float8, pace float8, calls_this_hour bigint, calls_per_hour integer, calls_today bigint,
    calls_per_day integer, minutes_this_hour bigint, minutes_per_hour integer, minutes_today bigint,
    minutes_per_day integer, room bigint, used_up_cap text, held_until timestamptz
)
language sql stable security definer rows 100
as $$
    with used as materialized (
        select used.scope, used.key,
               max(used.calls) filter (where period = 'hour') as hour_calls,
               max(used.calls) filter (where period = 'day') as day_calls,
               max(ceil(seconds / 60)) filter (where period = 'hour') as hour_minutes,
               max(ceil(seconds / 60)) filter (where period = 'day') as day_minutes
          from cap_usage as used
         group by used.scope, used.key
    )
    select room.scope,
           case room.scope
               when 'campaign'
                   then coalesce(campaign.business_id, substring(room.key from '^of business (\d+)$')::bigint)
               else scope_business(room.scope, room.key)
           end,
           campaign.id,
           case
               when room.scope = 'number' and has_column_privilege(session_user, 'call_log', 'from_number', 'select')
                   then room.key
           end,
           room.state, room.live, room.live_max, control.calls_per_second, room.rate,
           hour_calls::bigint, cap.calls_per_hour, day_calls::bigint, cap.calls_per_day,
           hour_minutes::bigint, cap.minutes_per_hour, day_minutes::bigint, cap.minutes_per_day,
           case when room.room < 500000000 then room.room end,  -- without a limit, 1e9 less the live ones
           room.spend_code, greatest(room.hold_until, room.spend_until)
      from dial_scope(null) as room
     inner join dial_control as control on control.scope = room.scope and control.key = room.key
      left join spend_cap as cap on cap.scope = room.scope and cap.key = room.key
      left join used on used.scope = room.scope and used.key = room.key
      left join campaign on room.scope = 'campaign' and campaign.id::text = room.key
$$;

-- A security definer finds what it names in whatever session it runs: see 0025.
do $$
begin
    execute format('alter function scope_usage_now() set search_path = %I, pg_temp', current_schema());
end
$$;

-- The calls that wait, by business, campaign and state: due, and dialed in their turn; withheld though they are due
-- (paused, campaign_not_started, spend_cap); not_due; call_paused, each by itself.  Lane by lane, from the index alone.
create or replace view queue_load as
with stopped as (
    select dial_control.scope, dial_control.key,
           case when dial_control.state <> 'running' then 'paused' else 'spend_cap' end as reason
      from dial_control
      left join cap_room as cap on cap.scope = dial_control.scope and cap.key = dial_control.key
     where dial_control.state <> 'running' or cap.code is not null
), lane_load as (
    select business_id, coalesce(campaign_id, 0) as campaign_id, from_number, count(*) as queued,
           count(*) filter (where due_at <= now()) as due, min(due_at) as oldest_due_at,
           min(due_at) filter (where due_at > now()) as next_due_at
      from call_log
     where status = 'queued' and paused_at is null
     group by business_id, coalesce(campaign_id, 0), from_number
), lane_wait as (
    select lane_load.*,
           case
               when everything.reason = 'paused' or by_business.reason = 'paused' or by_campaign.reason = 'paused'
                 or by_number.reason = 'paused'
                   then 'paused'
               when campaign.starts_at > now() then 'campaign_not_started'
               when coalesce(everything.reason, by_business.reason, by_campaign.reason) is not null then 'spend_cap'
               else 'due'
           end as state
      from lane_load
      left join campaign on campaign.id = lane_load.campaign_id
      left join stopped as everything on everything.scope = 'account'
      left join stopped as by_business
        on by_business.scope = 'business' and by_business.key = lane_load.business_id::text
      left join stopped as by_campaign
        on by_campaign.scope = 'campaign'
       and by_campaign.key = coalesce(nullif(lane_load.campaign_id, 0)::text, 'of business ' || lane_load.business_id)
      left join stopped as by_number on by_number.scope = 'number' and by_number.key = lane_load.from_number
)
select lane_wait.business_id, nullif(lane_wait.campaign_id, 0) as campaign_id, part.state,
       sum(part.calls)::bigint as calls, min(part.due_at) as first_due_at
  from lane_wait
 cross join lateral (
       values (lane_wait.state, due, oldest_due_at), ('not_due', queued - due, next_due_at)
 ) as part (state, calls, due_at)
 where part.calls > 0
 group by lane_wait.business_id, nullif(lane_wait.campaign_id, 0), part.state
union all
select business_id, campaign_id, 'call_paused', count(*), min(due_at)
  from call_log
 where status = 'queued' and paused_at is not null
 group by business_id, campaign_id;

-- The calls whose deadline has passed, and the rule that is to act on each.
create or replace view stale_calls as
select id as call_id, business_id, campaign_id, status, call_sid,
       case
           when status = 'claimed' then 'claimed'
           when call_is_in_doubt(status, error_code) then 'silent'
           when call_status_rank(status) = 5 then 'no_lead'
           when call_sid is null then 'no_call_sid'
           else 'silent'
       end as rule,
       overdue_at
  from call_log
 where overdue_at < now();

-- Each scope that is limited, capped, paused or served, and how much of its limits is used.
create or replace view scope_usage as
select scope, business_id, campaign_id, from_number, state, live, live_max, calls_per_second, pace, calls_this_hour,
       calls_per_hour, calls_today, calls_per_day, minutes_this_hour, minutes_per_hour, minutes_today, minutes_per_day,
       room, used_up_cap, held_until
  from scope_usage_now();

comment on view cap_usage is
    'Spend caps of this hour and this day, and how much of each is used. One row for each cap and period.';
comment on column cap_usage.scope is
    'As in spend_cap.';
comment on column cap_usage.key is
    'As in spend_cap.';
comment on column cap_usage.period is
    'hour or day.';
comment on column cap_usage.until is
    'End of the period.';
comment on column cap_usage.calls_max is
    'Most calls in the period. NULL: no cap.';
comment on column cap_usage.minutes_max is
    'Most minutes in the period. NULL: no cap.';
comment on column cap_usage.call_s is
    'Seconds that the longest call of the scope may last. NULL: no cap of minutes.';
comment on column cap_usage.calls is
    'Calls of the period: ended, at Twilio and claimed.';
comment on column cap_usage.seconds is
    'Their talk time, each begun minute as 60 s; calls that have not ended count with their time limit.';

comment on view cap_room is
    'How many more calls the spend caps of a scope allow now. One row for each scope with a cap.';
comment on column cap_room.scope is
    'As in spend_cap.';
comment on column cap_room.key is
    'As in spend_cap.';
comment on column cap_room.room is
    'Calls that may still begin, by the tightest cap.';
comment on column cap_room.code is
    'The cap that is used up, such as calls_per_hour. NULL: none.';
comment on column cap_room.until is
    'When that period ends. NULL: none is used up.';
comment on function scope_usage_now() is
    'The rows of the view scope_usage.';

comment on view queue_load is
    'Calls in the queue by business, campaign and state. Example: select * from queue_load where state = ''due'';';
comment on column queue_load.business_id is
    'The business.';
comment on column queue_load.campaign_id is
    'The campaign. NULL: none.';
comment on column queue_load.state is
    'due, not_due, call_paused; or due and withheld: paused (a scope), campaign_not_started, spend_cap.';
comment on column queue_load.calls is
    'How many calls.';
comment on column queue_load.first_due_at is
    'The earliest due_at of these calls.';

comment on view stale_calls is
    'Calls whose deadline has passed. Example: select rule, count(*), min(overdue_at) from stale_calls group by rule;';
comment on column stale_calls.call_id is
    'Id in call_log.';
comment on column stale_calls.business_id is
    'Its business.';
comment on column stale_calls.campaign_id is
    'Its campaign. NULL: none.';
comment on column stale_calls.status is
    'As in call_log.';
comment on column stale_calls.call_sid is
    'As in call_log.';
comment on column stale_calls.rule is
    'What acts on it: claimed, no_call_sid and no_lead are rules of clean-up; silent: reconcile asks Twilio.';
comment on column stale_calls.overdue_at is
    'The deadline that has passed.';

comment on view scope_usage is
    'Limits and caps of each scope and how much is used. Example: select * from scope_usage where room = 0;';
comment on column scope_usage.scope is
    'account (everything), business, campaign or number (a from-number).';
comment on column scope_usage.business_id is
    'The business, or whose campaign or number it is. NULL: account, or a number of no business.';
comment on column scope_usage.campaign_id is
    'The campaign. NULL: another scope, or the calls of a business that have no campaign.';
comment on column scope_usage.from_number is
    'E.164. NULL: another scope, or this role may not read numbers.';
comment on column scope_usage.state is
    'running or paused.';
comment on column scope_usage.live is
    'Calls that are claimed, at Twilio, or closed without knowing whether they have ended.';
comment on column scope_usage.live_max is
    'Most live calls. NULL: no limit.';
comment on column scope_usage.calls_per_second is
    'Most calls that begin per second. NULL: no limit of its own; OUTBOUND_ACCOUNT_RATE is not in this view.';
comment on column scope_usage.pace is
    'Calls per second at this moment, less than the limit after errors of Twilio. NULL: no rate limit.';
comment on column scope_usage.calls_this_hour is
    'Calls that count against calls_per_hour. NULL: no cap.';
comment on column scope_usage.calls_per_hour is
    'Most calls in this clock hour. NULL: no cap.';
comment on column scope_usage.calls_today is
    'Calls that count against calls_per_day. NULL: no cap.';
comment on column scope_usage.calls_per_day is
    'Most calls on this day. NULL: no cap.';
comment on column scope_usage.minutes_this_hour is
    'Minutes that count against minutes_per_hour; a call at Twilio counts with its time limit. NULL: no cap.';
comment on column scope_usage.minutes_per_hour is
    'Most minutes in this clock hour. NULL: no cap.';
comment on column scope_usage.minutes_today is
    'Minutes that count against minutes_per_day; a call at Twilio counts with its time limit. NULL: no cap.';
comment on column scope_usage.minutes_per_day is
    'Most minutes on this day. NULL: no cap.';
comment on column scope_usage.room is
    'Calls that may be claimed now, before the limits of wider scopes. NULL: no limit.';
comment on column scope_usage.used_up_cap is
    'The spend cap that allows no further call. NULL: none.';
comment on column scope_usage.held_until is
    'Nothing begins before this moment: a cancel, a hold after errors of Twilio, or a used-up cap. NULL: none.';

-- Whoever may read the caps may read what is left of them: the claim asks, also before `outbound roles` is run again.
do $$
declare
    reader text;
begin
    for reader in
        select distinct granted.grantee::regrole::text
          from pg_class
         cross join aclexplode(pg_class.relacl) as granted
         where pg_class.oid = 'spend_cap'::regclass
           and granted.privilege_type = 'SELECT'
           and granted.grantee not in (0, pg_class.relowner)
    loop
        execute format('grant select on cap_usage, cap_room, queue_load, stale_calls, scope_usage to %s', reader);
    end loop;
end
$$;
