-- What is paused, of a business or (null) of all, the latest first: who did it, why, and was it the breaker.
create or replace function page_pauses(in_business bigint, rows_max integer)
returns table (scope text, key text, name text, since timestamptz, who text, reason text, is_breaker boolean)
language sql stable
as $$
    select paused.scope, paused.key,
           case paused.scope
               when 'business' then (select business.name from business where business.id = scope_id(paused.key))
               when 'campaign' then (select campaign.name from campaign where campaign.id = scope_id(paused.key))
           end,
           paused.state_since, mover.who, mover.reason, paused.refused_calls <> '{}'
      from (select *
              from dial_control
             where state <> 'running'
               and (in_business is null or scope_business(dial_control.scope, dial_control.key) = in_business)
             order by state_since desc, dial_control.scope, dial_control.key
             limit rows_max) as paused
     cross join lateral last_pause(paused.scope, paused.key, paused.state_since, paused.state_reason) as mover
     order by paused.state_since desc, paused.scope, paused.key
$$;
