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
