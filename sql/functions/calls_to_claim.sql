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
