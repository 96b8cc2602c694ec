-- Put calls in the queue, in the caller's own transaction: what outbound.enqueue_calls does in Python, for who has
-- SQL.
--
-- Moves    (nothing) -> queued
-- Returns  a JSON array with an object for each call, in the order given: `call_id`, `status`, `created` (false
--          where it was there already), `has_key` and `due`; or its `place`, from 0, and the `fault`.  Where nothing
--          can be read, one object with a `fault`
-- Races    as queue_calls
--
-- A plan for these very calls would be made each time, and cost thrice what it does: the one for any calls is as good.
create or replace function enqueue_calls(
    calls jsonb, business_id bigint default null, campaign_id bigint default null
) returns jsonb
language plpgsql
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    answers jsonb := '{}';
    whose record;
begin
    if jsonb_typeof(calls) is distinct from 'array' then
        return '[{"place": null, "fault": "give the calls as a JSON array of objects"}]';
    elsif jsonb_array_length(calls) > 10000 then
        return '[{"place": null, "fault": "these are more than 10,000 calls: give the others afterwards"}]';
    end if;
    for whose in
        select campaign_id,
               jsonb_object_agg(place, jsonb_build_object('place', place, 'fault', fault))
                   filter (where fault is not null) as refused,
               array_agg(place order by place) filter (where fault is null) as places,
               array_agg(business_id order by place) filter (where fault is null) as businesses,
               array_agg(from_number order by place) filter (where fault is null) as from_numbers,
               array_agg(to_number order by place) filter (where fault is null) as to_numbers,
               array_agg(due_at order by place) filter (where fault is null) as due_ats,
               array_agg(key order by place) filter (where fault is null) as keys,
               array_agg(contact order by place) filter (where fault is null) as contacts,
               array_agg(time_zone order by place) filter (where fault is null) as time_zones,
               array_agg(zone order by place) filter (where fault is null) as zones
          from read_calls(calls, enqueue_calls.business_id, enqueue_calls.campaign_id)
         group by campaign_id
    loop
        answers := answers || coalesce(whose.refused, '{}');
        if whose.places is not null then
            answers := answers || enqueue_read_calls(
                whose.campaign_id, whose.places, whose.businesses, whose.from_numbers, whose.to_numbers, whose.due_ats,
                whose.keys, whose.contacts, whose.time_zones, whose.zones
            );
        end if;
    end loop;
    return (select coalesce(jsonb_agg(answers -> nth::text order by nth), '[]')
              from generate_series(0, jsonb_array_length(calls) - 1) as nth);
end
$$;
