-- The calls that are claimed or at the carrier, of a business or (null) of all: how many by status, how many have no
-- call_sid yet and since when, and how many calls a second were begun in the last 10 s.
create or replace function page_live(in_business bigint)
returns table (calls jsonb, unbound bigint, unbound_since timestamptz, begun_per_s numeric)
language sql stable
as $$
    with live as materialized (
        select status, call_sid, dialed_at
          from call_log
         where status in ('claimed', 'initiated', 'ringing', 'in-progress')
           and direction = 'outbound'
           and (in_business is null or business_id = in_business)
    )
    select (select coalesce(jsonb_object_agg(status, number), '{}')
              from (select status, count(*) as number from live group by status) as by_status),
           count(*) filter (where status <> 'claimed' and call_sid is null),
           min(dialed_at) filter (where status <> 'claimed' and call_sid is null),
           (count(*) filter (where dialed_at > now() - interval '10 s')
            + (select count(*)
                 from call_log
                where ended_at > now() - interval '10 s'
                  and dialed_at > now() - interval '10 s'
                  and direction = 'outbound'
                  and (in_business is null or business_id = in_business))) / 10.0
      from live
$$;
