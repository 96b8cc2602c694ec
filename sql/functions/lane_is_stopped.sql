-- Is the lane paused, by itself or with a scope that it lies in, or is its campaign not to begin yet?
create or replace function lane_is_stopped(of_business bigint, of_campaign bigint, of_number text) returns boolean
language sql stable
as $$
    select exists (select from campaign where id = of_campaign and starts_at > now())
        or exists (select
                     from dial_control
                    where state <> 'running'
                      and (scope, key) in (
                              ('account', ''),
                              ('business', of_business::text),
                              ('campaign', campaign_key(of_campaign, of_business)),
                              ('number', of_number)
                          ))
$$;
