-- Each scope that is limited, capped, paused or served, and how much of its limits is used.
create or replace view scope_usage as
select scope, business_id, campaign_id, from_number, state, live, live_max, calls_per_second, pace, calls_this_hour,
       calls_per_hour, calls_today, calls_per_day, minutes_this_hour, minutes_per_hour, minutes_today, minutes_per_day,
       room, used_up_cap, held_until
  from scope_usage_now();
