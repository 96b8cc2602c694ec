-- What a claim decides is three functions, each of which can be asked alone: the lanes that have room, their first
-- calls with what stands in the way of each, and the calls that are taken.
-- depends: 0067_keys_without_spaces_around

-- The lanes whose limits let at least one more call be dialed now, each with what its limits leave: `free` is how many
-- calls all lanes together may take, by what living workers' threads can do and what the account allows.  A business
-- whose carrier's account not every worker can use has no room.
--
-- A lane's weights, service and tokens are those of its business, campaign and number in dial_control, and of the
-- account; `tokens` is NULL where a scope has no row there.  Without free threads no lane is looked at.
create or replace function lanes_with_room(
    batch_max bigint, claims_per_thread bigint, worker_silent_s float8, account_rate float8
) returns table (
    business_id bigint, campaign_id bigint, campaign_key text, from_number text, window_ids bigint[], free bigint,
    is_default boolean, is_paced boolean, number_counts boolean, business_weight float8, campaign_weight float8,
    business_served float8, campaign_served float8, account_room bigint, business_room bigint, campaign_room bigint,
    number_room bigint, account_tokens float8, business_tokens float8, campaign_tokens float8, number_tokens float8
)
language sql stable
as $$
    with account as materialized (
        select room.* from room_of_scopes(array['account'], array[''], account_rate, only_capped => true) as room
    ), room as (
        select account.served_floor, account.rate, account.tokens, account.room as account_room,
               greatest(0, least(
                   batch_max,
                   account.calm_room,
                   claims_per_thread
                   * (select coalesce(sum(threads), 0)
                        from worker
                       where seen_at > now() - make_interval(secs => worker_silent_s))
                   - (select count(*) from call_log where status = 'claimed')
               ))::bigint as free
          from account
    ), dialable as materialized (
        select lane.* from room cross join dialable_lanes() as lane where room.free > 0
    ), asked as (
        select coalesce(array_agg(own.scope), '{}') as scopes, coalesce(array_agg(own.key), '{}') as keys
          from (select 'business' as scope, business_id::text as key from dialable
                union
                select 'campaign', campaign_key from dialable
                union
                select 'number', from_number from dialable) as own
    ), scope as materialized (
        select lane_room.*
          from asked
         cross join lateral room_of_scopes(asked.scopes, asked.keys, account_rate, only_capped => true) as lane_room
    )
    select lane.business_id, lane.campaign_id, lane.campaign_key, lane.from_number, lane.window_ids, room.free,
           lane.carrier_account is null,
           coalesce(room.rate, by_business.rate, by_campaign.rate, by_number.rate) is not null,
           by_number.key is not null,
           coalesce(by_business.weight, 1), coalesce(by_campaign.weight, 1),
           greatest(finite_service(by_business.served), finite_service(room.served_floor)),
           greatest(finite_service(by_campaign.served), finite_service(by_business.served_floor)),
           room.account_room, coalesce(by_business.room, room.free), coalesce(by_campaign.room, room.free),
           coalesce(by_number.room, room.free),
           room.tokens, by_business.tokens, by_campaign.tokens, by_number.tokens
      from room
     cross join dialable as lane
      left join scope as by_business on by_business.scope = 'business' and by_business.key = lane.business_id::text
      left join scope as by_campaign on by_campaign.scope = 'campaign' and by_campaign.key = lane.campaign_key
      left join scope as by_number on by_number.scope = 'number' and by_number.key = lane.from_number
     where coalesce(by_business.room, 1) > 0
       and coalesce(by_campaign.room, 1) > 0
       and coalesce(by_number.room, 1) > 0
       and case
               when lane.carrier_account is null then room.account_room > 0
               else workers_without(lane.carrier_account, worker_silent_s) = 0
           end
$$;

comment on function lanes_with_room(bigint, bigint, float8, float8) is
    'The lanes whose limits let at least one more call be dialed now, with what these leave; a claim''s first part.';

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

comment on function judged_heads(bigint, bigint, float8, float8, bigint, float8, float8) is
    'The first calls of each lane that has room, with what stands in the way of each; a claim''s second part.';

-- What a claim decides, of the first calls of each lane that has room (judged_heads): those that it takes, and those that
-- something keeps out of the way, with its `code`.
--
-- Each limit lets its first ones pass, narrow limits first, so that a call which a narrow limit stops uses no room under
-- a wider one.  Their order is fair by weight: who was served less comes first, and who was idle begins where the others
-- are (`served_floor`).  `business_tag` and `campaign_tag` are a call's place in that order, in calls by weight.
create or replace function calls_to_claim(
    batch_max bigint, claims_per_thread bigint, worker_silent_s float8, account_rate float8, heads_min bigint,
    claim_s float8, ring_s float8
) returns table (
    id bigint, code text, until timestamptz, is_final boolean, is_paced boolean, number_counts boolean,
    business_id bigint, campaign_key text, from_number text, business_weight float8, campaign_weight float8,
    account_tokens float8, business_tokens float8, campaign_tokens float8, number_tokens float8,
    business_tag float8, campaign_tag float8
)
language sql stable
as $$
    with judged as materialized (
        select *
          from judged_heads(batch_max, claims_per_thread, worker_silent_s, account_rate, heads_min, claim_s, ring_s)
    ), ordered as (
        -- `luck` is the order of those who were served alike, another one in each transaction.
        select in_campaign.*, hashint8extended(in_campaign.id, (extract(epoch from now()) * 1000000)::bigint) as luck,
               business_served
               + (row_number() over (partition by business_id order by campaign_tag, due_at, in_campaign.id) - 1)
               / business_weight as business_tag
          from (select judged.*,
                       campaign_served
                       + (row_number() over (partition by business_id, campaign_id order by due_at, judged.id) - 1)
                       / campaign_weight as campaign_tag
                  from judged
                 where code is null) as in_campaign
    ), within_number as (
        select *
          from (select ordered.*,
                       row_number() over (partition by from_number order by business_tag, luck) as number_place
                  from ordered) as placed
         where number_place <= number_room
    ), within_campaign as (
        select *
          from (select within_number.*,
                       row_number() over (partition by business_id, campaign_id order by business_tag, luck)
                       as campaign_place
                  from within_number) as placed
         where campaign_place <= campaign_room
    ), within_business as (
        select *
          from (select within_campaign.*,
                       row_number() over (partition by business_id order by business_tag, luck) as business_place
                  from within_campaign) as placed
         where business_place <= business_room
    ), within_account as (
        -- While the carrier's trouble is with TWILIO_ACCOUNT_SID, only its own calls wait.
        select *
          from (select within_business.*,
                       row_number() over (partition by is_default order by business_tag, luck) as account_place
                  from within_business) as placed
         where not is_default or account_place <= account_room
    )
    (select id, code, until, is_final, is_paced, number_counts, business_id, campaign_key, from_number, business_weight,
            campaign_weight, account_tokens, business_tokens, campaign_tokens, number_tokens, business_tag, campaign_tag
       from within_account
      order by business_tag, luck
      limit (select max(free) from judged))
     union all
    select id, code, until, is_final, is_paced, number_counts, business_id, campaign_key, from_number, business_weight,
           campaign_weight, account_tokens, business_tokens, campaign_tokens, number_tokens, null, null
      from judged
     where code is not null
$$;

comment on function calls_to_claim(bigint, bigint, float8, float8, bigint, float8, float8) is
    'The calls that a claim takes, fair by weight and within limits, and those that are kept out of the way.';
