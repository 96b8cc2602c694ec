-- enqueue.sql: put calls in the queue, once each.  Read by outbound/enqueue.py alone.

-- name: enqueue_calls(campaign_id, batch, business_ids, from_numbers, to_numbers, due_ats, idempotency_keys, contacts, time_zones)
-- Put calls in the queue, in the caller's own transaction, and wake the dispatchers when that commits.  Calls that are
-- there already are left as they are, and what must not be is left out.  Without a from-number, the campaign's that
-- suits the callee calls.  A call without a key of its own has its batch's and its telephone's.
--
-- Moves    (nothing) -> queued
-- Returns  one row with how many were `created`, and the `id` of the first; then of each that was left out its `place`
--          in what was given, from 1, and the `fault`: own_number (the business would call itself), forgotten (a person
--          who asked for it), no_number, borrowed (from_number is another business's), no_such_zone or no_zone (nobody
--          knows the callee's), or what destination_fault says, with a sentence in `about`
-- Races    other enqueues: the unique indexes let one in.  Sorted by number, so that two imports of the same numbers wait
--          for each other instead of locking each other out; one order cannot serve both indexes, and where the same
--          keys come with other numbers PostgreSQL may give one of the two up: run it again
with given as (
    select given.*,
           coalesce(from_number,
                    case
                        when (select count(*) from campaign_number where campaign_id = :campaign_id) > 1
                            then campaign_from_number(:campaign_id, to_number, 1)
                        -- One number suits every callee: it is looked up once.
                        else (select campaign_from_number(:campaign_id, '', 1))
                    end) as caller
      from unnest(:business_ids::bigint[], :from_numbers::text[], :to_numbers::text[], :due_ats::timestamptz[],
                  :idempotency_keys::text[], :contacts::jsonb[], :time_zones::text[])
        with ordinality
        as given (business_id, from_number, to_number, due_at, idempotency_key, contact, time_zone, place)
), hours as materialized (
    select business_id, call_windows(business_id, :campaign_id) as window_ids
      from (select distinct business_id from given) as whose
), own as materialized (
    select distinct business_id, phone_key(phone) as own_key from business_number inner join hours using (business_id)
), named as materialized (
    select distinct time_zone from given where time_zone is not null
), stated as materialized (
    select time_zone, present_zone(time_zone) is not null as is_known from named
), placed as materialized (
    select given.*, case when window_ids <> '{}' and time_zone is null then left(to_number, 5) end as head
      from given
     inner join hours using (business_id)
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
    select beginning.business_id, beginning.digits, beginning.characters, destination.fault
      from beginning
     cross join lateral destination_fault(beginning.to_number, beginning.business_id) as destination
     where not exists (select
                         from number_range
                        where first > substr(beginning.digits, 2) and first < substr(beginning.digits, 2) || ':')
       and not exists (select
                         from destination
                        where coalesce(destination.business_id, 0) in (0, beginning.business_id)
                          and length(place) > 6
                          and starts_with(place, beginning.digits))
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
), inserted as (
    insert into call_log (business_id, campaign_id, direction, from_number, to_number, status, due_at, idempotency_key,
                          contact, time_zone)
    select business_id, :campaign_id, 'outbound', caller, to_number, 'queued', coalesce(due_at, now()), key, contact,
           time_zone
      from judged
     cross join lateral (
           select coalesce(idempotency_key, :batch::text || ':' || phone_key(to_number)) as key
     ) as named_key
     where fault is null
     order by business_id, phone_key(to_number) collate "C", key collate "C"
    on conflict do nothing
    returning id
), woken as (
    select pg_notify('outbound_due', '') where exists (select from inserted)
)
select created, id, null::bigint as place, null as fault, null as about
  from (select count(*) as created, min(id) as id from inserted) as done
  left join woken on true
union all
select 0, null, place, fault,
       case
           when fault in ('not_dialable', 'destination_not_allowed') then destination_sentence(to_number, business_id)
       end
  from judged
 where fault is not null;

-- name: find_calls(batch, business_ids, to_numbers, idempotency_keys, since)
-- Look for the calls that keep others out: of the same key, or live and to the same telephone.
--
-- Returns  for each that was given and has one: its `place`, from 1; the call; `key_of_another` true where the key
--          belongs to a call of another telephone; `is_twin` true where it was written after `since`, with this very key
select given.place, found.id, found.status, phone_key(found.to_number) <> phone_key(given.to_number) as key_of_another,
       choice = 1 and found.created_at >= :since as is_twin
  from unnest(:business_ids::bigint[], :to_numbers::text[], :idempotency_keys::text[])
       with ordinality as given (business_id, to_number, idempotency_key, place)
 cross join lateral (
       select *
         from (select 1 as choice, call_log.*
                 from call_log
                where business_id = given.business_id
                  and idempotency_key = coalesce(given.idempotency_key,
                                                 :batch::text || ':' || phone_key(given.to_number))
                union all
               select 2, call_log.*
                 from call_log
                where business_id = given.business_id
                  and phone_key(to_number) = phone_key(given.to_number)
                  and direction = 'outbound'
                  and status in ('queued', 'claimed', 'initiated', 'ringing', 'in-progress')) as either
        order by choice
        limit 1
 ) as found;

-- name: find_caller(business_id, campaign_id, carrier)^
-- Also tells an application's own connection which carrier it enqueues for: destinations depend on it.
--
-- Returns  what is needed to know of a business, and of its campaign, before it calls, or nothing; `campaign_id` is NULL
--          where the campaign is not this business's.  Without a business, the campaign says whose it is
select business.id, business.time_zone, business.default_region, campaign.id as campaign_id,
       coalesce(campaign.ends_at <= now(), false) as has_ended,
       campaign_from_number(campaign.id, '', 1) is not null as campaign_calls,
       coalesce(campaign.voice_url, campaign.twiml, business.voice_url, business.twiml) is not null as can_speak,
       case
           when coalesce(campaign.voice_url, campaign.twiml) is not null then campaign.twiml
           when business.voice_url is null then business.twiml
       end as twiml,
       (select phone
          from business_number
         where business_id = business.id
         order by created_at, phone
         limit 1) as own_number
  from business
  left join campaign on campaign.id = :campaign_id and campaign.business_id = business.id
 where business.id = coalesce(:business_id::bigint, (select campaign.business_id
                                                       from campaign
                                                      where campaign.id = :campaign_id))
   and set_config('outbound.carrier', :carrier, false) is not null;

-- name: moment()$
-- Returns  the time by the database's clock
select clock_timestamp();

-- name: note_import(who, scope, key, details)!
-- A file of calls was read, to its end or as far as that went.
insert into audit (who, action, scope, key, details) values (:who, 'import_calls', :scope, :key, :details);
