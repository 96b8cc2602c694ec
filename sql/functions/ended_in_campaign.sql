-- Which calls of a campaign ended with this status, and when, the latest first, before (last_at, last_id).
create or replace function ended_in_campaign(
    campaign_id bigint, status text, from_at timestamptz, last_at timestamptz, last_id bigint, calls_max bigint
) returns table (id bigint, at timestamptz)
language sql stable
as $$
    select call.id, coalesce(call.ended_at, call.created_at)
      from calls_ended_in_campaign($1, $2, from_at, last_at, last_id, calls_max) as call
$$;
