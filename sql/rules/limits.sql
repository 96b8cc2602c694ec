-- limits.sql: limits per scope.  Read by outbound/rules/limits.py alone.

-- name: set_limits(scope, key, sets_rate, calls_per_second, sets_live_max, live_max, weight)!
-- Update a scope's limits; NULL is no limit.
insert into dial_control as control (scope, key, calls_per_second, live_max, weight)
values (:scope, :key, :calls_per_second, :live_max, coalesce(:weight, 1))
on conflict (scope, key) do update
   set calls_per_second = case when :sets_rate then excluded.calls_per_second else control.calls_per_second end,
       live_max = case when :sets_live_max then excluded.live_max else control.live_max end,
       weight = coalesce(:weight, control.weight);

-- name: set_spend_cap(scope, key, given)!
-- Update a scope's caps, where NULL is none; set_limits has made its row of control.
insert into spend_cap as cap (scope, key, calls_per_hour, calls_per_day, minutes_per_hour, minutes_per_day)
select :scope, :key, given.calls_per_hour, given.calls_per_day, given.minutes_per_hour, given.minutes_per_day
  from jsonb_populate_record(null::spend_cap, :given) as given
on conflict (scope, key) do update
   set (calls_per_hour, calls_per_day, minutes_per_hour, minutes_per_day)
       = (select given.calls_per_hour, given.calls_per_day, given.minutes_per_hour, given.minutes_per_day
            from jsonb_populate_record(cap, :given) as given);

-- name: caps_below_one_call(scope, key)
-- The caps of minutes, other than 0, that would let no call of this scope begin: each may last longer than the cap.
-- Returns  its name, its minutes, and the minutes that the longest call of this scope may last
with longest as (
    select ceil(greatest(
               call_limit_s(case when :scope = 'campaign' then max(campaign.time_limit_s) end),
               case when :scope <> 'campaign' then max(campaign.time_limit_s) end
           ) / 60.0)::integer as minutes
      from campaign
     where (:scope = 'account' or :scope = 'business' and business_id::text = :key
            or :scope = 'campaign' and id::text = :key)
       and (:scope = 'campaign' or coalesce(ends_at > now(), true))
)
select given.name, given.minutes, longest.minutes as needed
  from spend_cap
 cross join longest
 cross join lateral (values ('minutes_per_hour', minutes_per_hour), ('minutes_per_day', minutes_per_day))
         as given (name, minutes)
 where spend_cap.scope = :scope and spend_cap.key = :key and given.minutes > 0 and given.minutes < longest.minutes;
