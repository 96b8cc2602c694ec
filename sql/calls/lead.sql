-- lead.sql: a lead from a call_sid and nothing else.  Read by outbound/calls/lead.py alone.

-- name: create_lead(call_sid, phone, withheld)^
-- Make the lead of a call, or find the one that its caller has, and link it to the call.  Never writes a status.
--
-- What is longer than any number or SIP address is no phone, and the row says so.
-- `phone` is what was read out of a number that is not in E.164, or '' where there is none; NULL where nobody has read it
-- yet.  `withheld` are the numbers that carriers put in the place of one.
--
-- Returns  `result`: created, existing, no_phone, unknown_call, or unread, which changes nothing: what was `said` must be
--          read first, in the `region`; and the lead
-- Races    other jobs for the same caller: the unique index on (business_id, phone_key(phone)) lets one make the lead
-- It does not wait for the disk: a crash of the server forgets the lead and its link together, and clean-up asks again.
with found as (
    select call_log.id, business_id, default_region, said, coalesce(length(said) > 64, false) as is_too_long,
           coalesce(:phone, case
               when coalesce(said, '') = '' or said = any(:withheld::text[]) or length(said) > 64 then ''
               when said ~ '^\+[1-9][0-9]{6,14}$' then said
           end) as phone
      from call_log
     inner join business on business.id = business_id
     cross join lateral (
           select case direction when 'outbound' then to_number when 'inbound' then from_number end as said
     ) as person
     where call_sid = :call_sid and set_config('synchronous_commit', 'off', true) is not null
), call as (
    select id, business_id, phone, is_too_long from found where phone is not null
), lead as (
    insert into leads (business_id, phone)
    select business_id, phone from call where phone <> ''
    on conflict (business_id, phone_key(phone)) where duplicate_of is null do update set updated_at = now()
    returning id, xmax = 0 as is_new
), linked as (
    -- Nothing is overdue any more at a call that has ended; one whose end is open keeps its deadline.
    update call_log
       set lead_id = coalesce(call_log.lead_id, lead.id),
           overdue_at = case
               when call_status_rank(status) < 5 or call_is_in_doubt(status, error_code) then overdue_at
           end,
           error_code = case when is_too_long then coalesce(error_code, 'no_phone') else error_code end,
           error_message = case
               when is_too_long
                   then coalesce(error_message, 'No lead: what stands for a number is longer than 64 characters.')
               else error_message
           end
      from call
      left join lead on true
     where call_log.id = call.id
), result as (
    select case
               when not exists (select from found) then 'unknown_call'
               when not exists (select from call) then 'unread'
               when not exists (select from lead) then 'no_phone'
               when (select is_new from lead) then 'created'
               else 'existing'
           end as result
), counted as (
    insert into counter (name, label, value)
    select 'lead', result, 1 from result where result <> 'unread'
    on conflict (name, label, slot) do update set value = counter.value + 1
)
select result, (select id from lead) as lead_id, (select said from found), (select default_region from found) as region
  from result;

-- name: give_up_lead(call_sid, tries_max, state, message)^
-- The database made no lead of this call, by an error that it will make again: count it, and after tries_max times ask no
-- more.  A call that has not ended keeps its deadline; its lead is tried once more at its end.
--
-- Returns  the call, how often it was tried, and `is_given_up`; nothing where there is no such call
with call as (
    select id, lead_tries + 1 >= :tries_max as is_last from call_log where call_sid = :call_sid for update
), moved as (
    update call_log
       set lead_tries = least(lead_tries, 1000) + 1,
           error_code = case when is_last then coalesce(error_code, 'no_phone') else error_code end,
           error_message = case
               when is_last then coalesce(error_message, fault_text('lead', :state, :message))
               else error_message
           end,
           overdue_at = case
               when not is_last or call_status_rank(status) < 5 or call_is_in_doubt(status, error_code) then overdue_at
           end
      from call
     where call_log.id = call.id
    returning call_log.id, lead_tries, is_last
), counted as (
    insert into counter (name, label, value)
    select 'lead', 'no_phone', 1 from moved where is_last
    on conflict (name, label, slot) do update set value = counter.value + 1
)
select id, lead_tries, is_last as is_given_up from moved;

-- name: count_set_aside()!
-- A message without a call_sid was set aside.
insert into counter (name, label, value)
values ('lead', 'set_aside', 1)
on conflict (name, label, slot) do update set value = counter.value + 1;
