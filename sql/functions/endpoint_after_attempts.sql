-- What attempts that came to their end together make of their endpoint.  A success forgets its failures; after in_a_row of
-- them it is held, for hold_s and twice as long each time up to hold_max_s, or as long as it asked for (asked_s).  After
-- failing_days without one success and failures_min failures it is switched off, and at once where it is gone.
create or replace function endpoint_after_attempts(
    endpoint webhook_endpoint, has_success boolean, is_gone boolean, failed bigint, asked_s float8, in_a_row integer,
    hold_s float8, hold_max_s float8, failing_days integer, failures_min integer
) returns table (
    failures integer, failing_since timestamptz, hold_until timestamptz, state text, state_since timestamptz,
    state_reason text
)
language sql stable rows 1
as $$
    select now.failures, now.since,
           case
               when asked_s is not null then now() + make_interval(secs => least(asked_s, hold_max_s))
               when now.failures >= in_a_row
                   then now() + make_interval(
                       secs => least(hold_max_s, hold_s * 2 ^ least(now.failures - in_a_row, 20))
                   )
           end,
           case when is_off then 'off' else endpoint.state end,
           case when is_off then now() else endpoint.state_since end,
           case
               when not is_off then endpoint.state_reason
               when is_gone then 'It answered 410: it is gone.'
               else format('No attempt succeeded since %s.', moment_text(now.since, 'UTC'))
           end
      from (select case when has_success then 0 else (endpoint.failures + failed)::integer end as failures,
                   case when not has_success then coalesce(endpoint.failing_since, now()) end as since) as now
     cross join lateral (
           select is_gone
                  or now.failures >= failures_min
                  and coalesce(now.since < now() - make_interval(days => failing_days), false) as is_off
     ) as end_of_it
$$;
