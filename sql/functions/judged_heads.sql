-- The first calls of each lane that has room (lanes_with_room), each with what stands in its own way (call_obstacle):
-- a `code`, or NULL where it may be dialed; `until` when, or that it `is_final`.
create or replace function judged_heads(
    batch_max bigint, claims_per_thread bigint, worker_silent_s float8, account_rate float8, heads_min bigint,
    claim_s float8, ring_s float8
) returns table (
    id bigint, due_at timestamptz, code text, until timestamptz, is_final boolean,
    business_id bigint, campaign_id bigint, campaign_key text, from_number text, window_ids bigint[], free bigint,
    is_default boolean, is_paced boolean, number_counts boolean, business_weight float8, campaign_weight float8,
    business_served float8, campaign_served float8, account_room bigint, business_room bigint, campaign_room bigint,
    number_room bigint, account_tokens float8, business_tokens float8, campaign_tokens float8, number_tokens float8
)
language sql stable
as $$
    with able as (
        select * from lanes_with_room(batch_max, claims_per_thread, worker_silent_s, account_rate)
    ), head as (
        select able as lane, call,
               case when able.window_ids <> '{}' then callee_zones(call.to_number, call.time_zone) end as zones
          from able
         cross join (select count(*) as lanes from able) as counted
         -- Few heads where there are many lanes: a cycle looks at some hundred calls at most, and takes milliseconds.
         cross join lateral due_heads(able.business_id, able.campaign_id, able.from_number,
                                      least(greatest(heads_min, able.free),
                                            1 + greatest(400, 2 * able.free) / counted.lanes)) as call
    ), opening as materialized (
        select window_ids, zones, next_opening(window_ids, zones, now(), claim_s + ring_s) as opens_at
          from (select distinct (lane).window_ids, zones from head where zones is not null) as asked
    )
    select (head.call).id, (head.call).due_at, obstacle.code, obstacle.until, coalesce(obstacle.is_final, false),
           (head.lane).*
      from head
      left join opening on opening.window_ids = (head.lane).window_ids and opening.zones = head.zones
      left join lateral call_obstacle(head.call, (head.lane).window_ids, coalesce(head.zones, '{}'), opening.opens_at)
        as obstacle on true
$$;
