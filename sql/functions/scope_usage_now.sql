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
