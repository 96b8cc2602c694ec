-- What becomes of calls that somebody asks for, before any is written: from which number each is made (`caller`), of
-- which batch it is, and the `fault` that keeps it out, or NULL; queue_calls says more.
create or replace function judge_calls(
    for_campaign bigint, batch_businesses bigint[], batch_ids bigint[], again boolean, business_ids bigint[],
    from_numbers text[], to_numbers text[], due_ats timestamptz[], idempotency_keys text[], contacts jsonb[],
    time_zones text[]
) returns table (
    place bigint, business_id bigint, to_number text, due_at timestamptz, idempotency_key text, contact jsonb,
    time_zone text, caller text, batch_id bigint, fault text
)
language plpgsql stable
as $$
#variable_conflict use_column
begin
    return query
    with given as (
        select given.*,
               coalesce(from_number,
                        case
                            when (select count(*) from campaign_number where campaign_id = for_campaign) > 1
                                then campaign_from_number(for_campaign, to_number, 1)
                            -- One number suits every callee: it is looked up once.
                            else (select campaign_from_number(for_campaign, '', 1))
                        end) as caller
          from unnest(business_ids, from_numbers, to_numbers, due_ats,
                      idempotency_keys, contacts, time_zones)
            with ordinality
            as given (business_id, from_number, to_number, due_at, idempotency_key, contact, time_zone, place)
    ), hours as materialized (
        select business_id, call_windows(business_id, for_campaign) as window_ids, batch.id as batch_id,
               exists (select from batch_reached where batch_reached.batch_id = batch.id) as has_reached,
               case
                   when not again and look_back_hours > 0 then now() - make_interval(hours => look_back_hours)
               end as looks_back_to
          from (select distinct business_id from given) as whose
         inner join business on business.id = business_id
          left join unnest(batch_businesses, batch_ids) as batch (of_business, id)
            on of_business = business_id
    ), own as materialized (
        select distinct business_id, phone_key(phone) as own_key
          from business_number
         inner join hours using (business_id)
    ), stated as materialized (
        select time_zone, present_zone(time_zone) is not null as is_known
          from (select distinct time_zone from given where time_zone is not null) as named
    ), placed as materialized (
        select given.*, batch_id, has_reached, looks_back_to,
               case when window_ids <> '{}' and time_zone is null then left(to_number, 5) end as head
          from given inner join hours using (business_id)
    ), heads as materialized (
        -- Many callees share one.  Materialized, or each callee would be asked for.
        select distinct head from placed where head is not null
    ), doubtful as materialized (
        -- Behind the others everybody has a zone.
        select head
          from heads
         where callee_zones(head, null) = '{}'
            or exists (select from phone_zone where zones = '{}' and starts_with('+' || prefix, head))
    ), beginning as materialized (
        -- Numbers that begin alike and are as long are nearly all of one range, and the same counts for all of them.
        select business_id, left(to_number, 6) as digits, length(to_number) as characters, min(to_number) as to_number
          from given
         group by 1, 2, 3
    ), alike as materialized (
        select beginning.business_id, beginning.digits, beginning.characters, common.fault
          from beginning
         cross join lateral destination_fault_of_alike(beginning.to_number, beginning.business_id) as common
    ), judged as materialized (
        select placed.*,
               case
                   when own_key is not null or phone_key(caller) = phone_key(to_number) then 'own_number'
                   when exists (select from forgotten) and is_forgotten(to_number) then 'forgotten'
                   when caller is null then 'no_number'
                   when business_number.business_id <> placed.business_id then 'borrowed'
                   when not stated.is_known then 'no_such_zone'
                   when doubtful.head is not null and callee_zones(to_number, null) = '{}' then 'no_zone'
                   when alike.digits is not null then alike.fault
                   else (select destination.fault from destination_fault(to_number, placed.business_id) as destination)
               end as fault
          from placed
          left join stated using (time_zone)
          left join doubtful using (head)
          left join business_number on business_number.phone = caller
          left join alike
            on alike.business_id = placed.business_id
           and alike.digits = left(to_number, 6)
           and alike.characters = length(to_number)
          left join own on own.business_id = placed.business_id and own_key = phone_key(to_number)
    )
    select place, judged.business_id, judged.to_number, due_at, idempotency_key, contact, time_zone, caller, batch_id,
           case
               when fault is not null then fault
               when has_reached and exists (select from reached_by(judged.batch_id, judged.to_number)) then 'reached'
               -- A scalar with a limit is looked up for each callee; `exists` might read every call of the time.
               when looks_back_to is not null
                    and (select true from dialed_since(judged.business_id, judged.to_number, looks_back_to) limit 1)
                   then 'lately'
           end as fault
      from judged;
end
$$;
