-- calls.sql: take over what the system before has of calls and leads.
-- Read by outbound/adopt/calls.py alone.

-- name: live_calls(businesses)
-- Returns  the old calls that may be in the air and have no outcome: those with a call_sid first, the newest first
select meaning.id
  from old_call_meaning as meaning
 where is_live
   and (:businesses::bigint[] is null or old_business_id = any(:businesses::bigint[]))
   and not exists (select from adopted where kind = 'call' and old_id = meaning.id)
 order by call_sid is null, id desc;

-- name: calls_of(call_sids)
-- Returns  the old calls with these call_sids that have no row here yet
select old_call.id
  from old_call
 where call_sid = any(:call_sids::text[])
   and not exists (select from adopted where kind = 'call' and old_id = old_call.id and fate <> 'older');

-- name: odd_numbers_of_calls(ids)
-- Returns  the numbers of these old calls that are not in E.164, and the region in which each is to be read
select distinct said, region
  from old_call_meaning as meaning
 cross join lateral (values (from_number), (to_number)) as number (said)
 where meaning.id = any(:ids::bigint[]) and said <> '' and said !~ '^\+[1-9][0-9]{6,14}$';

-- name: adopt_live_calls(ids, said, regions, phones)!
-- Take over calls that may be in the air.  They are asked for at the carrier and closed; none is dialed.
--
-- `ids` are in the order of precedence: of the live calls to one telephone the first stays live, the others are closed.
-- No call lasts a day: what is older is closed at once, and asked for all the same.  Inbound calls stay where they are.
-- `said`, `regions` and `phones` are what was read out of numbers that are not in E.164.
--
-- Moves    (nothing) -> initiated, ringing, in-progress, overdue; (nothing) -> failed (superseded, no_call_sid)
-- Races    a call that is enqueued here meanwhile to the same telephone: the unique index fails the batch, which is
--          tried again row by row
-- Undo     give_back_calls
with call as materialized (
    select meaning.*, given.place, coalesce(caller.phone, from_number) as caller,
           coalesce(callee.phone, to_number) as callee,
           coalesce(began_at, now()) < now() - interval '1 day' as is_stale
      from unnest(:ids::bigint[]) with ordinality as given (id, place)
     inner join old_call_meaning as meaning on meaning.id = given.id
      left join unnest(:said::text[], :regions::text[], :phones::text[]) as caller (said, region, phone)
        on caller.said = from_number and caller.region is not distinct from meaning.region
      left join unnest(:said::text[], :regions::text[], :phones::text[]) as callee (said, region, phone)
        on callee.said = to_number and callee.region is not distinct from meaning.region
     where is_live and not exists (select from adopted where kind = 'call' and old_id = meaning.id)
), judged as materialized (
    select call.*,
           case
               when call.business_id is null then 'no_business'
               when call.direction is null then 'odd_direction'
               when call.direction = 'inbound' then 'inbound_stays'
               when ours.id is not null and exists (select from adopted where kind = 'call' and new_id = ours.id)
                   then 'duplicate_sid'
               when ours.id is not null then 'ours'
               when call.call_sid is not null
                   and row_number() over (partition by call.call_sid order by place) > 1 then 'duplicate_sid'
               when call.call_sid is null and not coalesce(callee ~ '^\+[1-9][0-9]{6,14}$', false) then 'closed'
               when is_stale then 'closed_asked'
               else 'asked'
           end as fate,
           ours.id as ours_id
      from call
      left join call_log as ours on ours.call_sid = call.call_sid
), ranked as materialized (
    select judged.*,
           row_number() over (partition by business_id, phone_key(callee), fate order by place) as turn,
           (select id from live_call(judged.business_id, callee)) as held_by_id
      from judged
), settled as materialized (
    select ranked.*,
           case
               when fate = 'asked' and (turn > 1 or held_by_id is not null) then 'superseded' else fate
           end as end_fate,
           case
               when fate in ('asked', 'closed', 'closed_asked') then nextval(pg_get_serial_sequence('call_log', 'id'))
               else ours_id
           end as new_id
      from ranked
), inserted as (
    insert into call_log (id, business_id, direction, status, call_sid, from_number, to_number, created_at, updated_at,
                          due_at, dialed_at, ended_at, overdue_at, error_code, error_message)
    select new_id, business_id, 'outbound',
           case when end_fate <> 'asked' then 'failed' when call_sid is null then 'initiated' else word end,
           call_sid, caller, callee, coalesce(began_at, now()), coalesce(touched_at, now()), coalesce(began_at, now()),
           coalesce(began_at, now()), case when end_fate <> 'asked' then now() end,
           case when end_fate in ('asked', 'closed_asked') then now() end,
           case end_fate when 'asked' then null when 'superseded' then 'superseded' else 'no_call_sid' end,
           case end_fate
               when 'asked' then null
               when 'superseded'
                   then 'Another call to the same telephone was live when the system before was taken over.'
               else 'It was not closed in the system before; whether the phone rang is unknown.'
           end
      from settled
     where end_fate in ('asked', 'superseded', 'closed', 'closed_asked')
)
insert into adopted (kind, old_id, new_id, business_id, fate, note)
select 'call', id, new_id, business_id, end_fate, nullif(concat_ws(', ', said_status, said_call_status), word)
  from settled;

-- name: adopt_ended_calls(ids, said, regions, phones, since, is_asked_for)!
-- Take over calls that have ended, with their leads, as far back as asked; `is_asked_for` ones whenever they were.
--
-- Of several rows with one call_sid the newest is taken.  `said`, `regions` and `phones` as in adopt_live_calls.
--
-- Moves    (nothing) -> completed, busy, no-answer, failed, canceled; (nothing) -> leads
-- Races    a lead that is made meanwhile is the one that counts; live calls are adopt_live_calls'
-- Undo     none is needed: nothing waits there
with call as materialized (
    select meaning.*, coalesce(caller.phone, from_number) as caller, coalesce(callee.phone, to_number) as callee
      from unnest(:ids::bigint[]) as given (id)
     inner join old_call_meaning as meaning on meaning.id = given.id
      left join unnest(:said::text[], :regions::text[], :phones::text[]) as caller (said, region, phone)
        on caller.said = from_number and caller.region is not distinct from meaning.region
      left join unnest(:said::text[], :regions::text[], :phones::text[]) as callee (said, region, phone)
        on callee.said = to_number and callee.region is not distinct from meaning.region
     where not is_live
       and not exists (select from adopted
                        where kind = 'call' and old_id = meaning.id and (fate <> 'older' or not :is_asked_for))
), judged as materialized (
    select call.*, ours.id as ours_id,
           case
               when call.business_id is null then 'no_business'
               when call.direction is null then 'odd_direction'
               when began_at < :since::timestamptz and not :is_asked_for then 'older'
               when ours.id is not null and exists (select from adopted where kind = 'call' and new_id = ours.id)
                   then 'duplicate_sid'
               when ours.id is not null then 'ours'
               when call.call_sid is not null
                   and row_number() over (partition by call.call_sid order by call.id desc) > 1 then 'duplicate_sid'
               else 'history'
           end as fate,
           case call.direction when 'outbound' then callee when 'inbound' then caller end as person
      from call
      left join call_log as ours on ours.call_sid = call.call_sid
), numbered as materialized (
    select judged.*,
           case when fate = 'history' then nextval(pg_get_serial_sequence('call_log', 'id')) else ours_id end as new_id,
           case
               when fate = 'history' and call_sid is not null and person ~ '^\+[1-9][0-9]{6,14}$' then phone_key(person)
           end as telephone
      from judged
), lead as (
    insert into leads (business_id, phone)
    select business_id, min(person)
      from numbered
     where telephone is not null
     group by business_id, telephone
     order by business_id, telephone collate "C"
    on conflict (business_id, phone_key(phone)) where duplicate_of is null do update set updated_at = leads.updated_at
    returning id, business_id, phone_key(phone) as telephone
), told as materialized (
    select numbered.*, lead.id as lead_id
      from numbered
      left join lead on lead.business_id = numbered.business_id and lead.telephone = numbered.telephone
), inserted as (
    insert into call_log (id, business_id, direction, status, call_sid, from_number, to_number, created_at, updated_at,
                          due_at, dialed_at, ended_at, duration_s, lead_id, error_code, error_message)
    select new_id, business_id, direction, coalesce(word, 'failed'), call_sid, caller, callee,
           coalesce(began_at, now()), coalesce(touched_at, now()), coalesce(began_at, now()),
           case when direction = 'outbound' and call_sid is not null then coalesce(began_at, now()) end,
           coalesce(touched_at, began_at, now()),
           case when duration between 0 and 2147483647 then duration end, lead_id,
           coalesce(left(error_code, 64),
                    case
                        when word is null then 'unknown_status'
                        when said_status in ('rejected_capacity', 'rejected-capacity') then 'rejected_capacity'
                    end),
           coalesce(error_message,
                    case
                        when word is null
                            then 'The old status was ' || coalesce(quote_literal(said_status), 'missing') || '.'
                        when said_status in ('rejected_capacity', 'rejected-capacity')
                            then 'The system before had no capacity for it.'
                    end)
      from told
     where fate = 'history'
)
insert into adopted (kind, old_id, new_id, business_id, fate, note)
select 'call', id, new_id, business_id,
       case when fate = 'history' and lead_id is not null and old_lead_id is null then 'lead_made' else fate end,
       nullif(concat_ws(', ', said_status, said_call_status, case when has_odd_sid then 'an odd call_sid' end), word)
  from told
    on conflict (kind, old_id) do update
   set new_id = excluded.new_id, business_id = excluded.business_id, fate = excluded.fate, note = excluded.note,
       adopted_at = now();

-- name: phones_of_leads(ids)
-- Returns  the phones of these old leads that are not in E.164, and the region in which each is to be read
select distinct old_lead.phone as said, business.default_region as region
  from old_lead
 inner join adopted as own on own.kind = 'business' and own.fate = 'adopted' and own.old_id = old_lead.business_id
 inner join business on business.id = own.new_id
 where old_lead.id = any(:ids::bigint[]) and old_lead.phone <> '' and old_lead.phone !~ '^\+[1-9][0-9]{6,14}$';

-- name: write_lead_fates(ids, said, regions, phones)!
-- Which of our leads an old one is, by its telephone; one that no call here belongs to stays where it is.
insert into adopted (kind, old_id, new_id, business_id, fate)
select 'lead', old_lead.id, ours.id, own.new_id,
       case
           when own.new_id is null then 'no_business'
           when number.phone is null then 'no_phone'
           when ours.id is null then 'lead_stays'
           else 'lead_linked'
       end
  from unnest(:ids::bigint[]) as given (id)
 inner join old_lead on old_lead.id = given.id
  left join adopted as own on own.kind = 'business' and own.fate = 'adopted' and own.old_id = old_lead.business_id
  left join business on business.id = own.new_id
  left join unnest(:said::text[], :regions::text[], :phones::text[]) as read (said, region, phone)
    on read.said = old_lead.phone and read.region is not distinct from business.default_region
 cross join lateral (
       select coalesce(read.phone, case when old_lead.phone ~ '^\+[1-9][0-9]{6,14}$' then old_lead.phone end) as phone
 ) as number
  left join leads as ours
    on ours.business_id = own.new_id and phone_key(ours.phone) = phone_key(number.phone) and ours.duplicate_of is null
    on conflict do nothing;

-- name: count_unasked()$
-- Returns  how many calls that were taken over live, or as being dialed, wait for a report
select count(*)
  from adopted
 inner join call_log on call_log.id = adopted.new_id
 where fate in ('asked', 'job_asked')
   and call_log.status in ('initiated', 'ringing', 'in-progress')
   and overdue_at < now();
