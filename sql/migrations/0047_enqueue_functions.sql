-- Applications put calls in the queue on connections of their own, which know none of our settings.
-- depends: 0046_api_token

do $$
begin
    -- Asked for again and again: behind a lock that is waited for, everybody waits.
    for attempt in 1..100 loop
        begin
            perform set_config('lock_timeout', '500ms', true);
            lock table identity in access exclusive mode;
            exit;
        exception
            when lock_not_available or deadlock_detected then
                if attempt = 100 then
                    raise;
                end if;
                perform pg_sleep(0.1);
        end;
    end loop;
    alter table identity add column if not exists carrier text null;
end
$$;

comment on column identity.carrier is
'With which carrier its dispatchers dial: simulator or twilio. Written by each that looks. NULL: none has looked yet.';

-- Do the dispatchers of this database dial through the simulator?  Until one has said so, phones may ring.
create or replace function dials_by_simulator() returns boolean
language sql stable
return coalesce((select carrier = 'simulator' from identity where ended_at is null), false);

comment on function dials_by_simulator() is
    'Whether the dispatchers of this database dial through the simulator; false where none has said so.';

-- Is the carrier of this session the simulator?  Ours say so (pin_session); of others' the database knows.
create or replace function is_simulated() returns boolean
language sql stable
return coalesce(nullif(current_setting('outbound.carrier', true), '') = 'simulator', dials_by_simulator());

-- Why judge_calls leaves a call out, in a sentence that says what to do; NULL for what is held out and no fault.
create or replace function refused_call_sentence(fault text, to_number text, business_id bigint) returns text
language sql stable
return case fault
    when 'own_number' then '`to` is a number of the business itself, which would call itself: give somebody else''s'
    when 'forgotten'
        then '`to` is the number of somebody who asked to be forgotten: nobody may call it, and it is not kept'
    when 'no_number' then 'the campaign has no number that may call: `outbound campaign set ... --number ...`'
    when 'borrowed'
        then 'the from number belongs to another business: give one of its own, see `outbound business list`'
    when 'no_such_zone' then '`time_zone` is one that this PostgreSQL does not know: update its time zone data'
    when 'no_zone'
        then 'there are calling hours, and the number does not tell the callee''s time zone: state `time_zone`'
    when 'reached' then null
    when 'lately' then null
    else format('`to` may not be called (%s): %s', fault, destination_sentence(to_number, business_id))
end;

comment on function refused_call_sentence is
'Why judge_calls leaves a call out, in a sentence; NULL for what is held out and no fault.';

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

comment on function judge_calls is
'What becomes of calls that are asked for: from which number each is made, and what keeps it out.';

-- Put calls in the queue, in the caller's own transaction, and wake the dispatchers when that commits.  Calls that
-- are there already are left as they are, and what must not be is left out.  Without a from-number, the campaign's
-- that suits the callee calls.
--
-- The calls of a business are of the batch that stands beside its id in `batch_businesses` and `batch_ids`, which
-- reaches a telephone once.  Who was called in the hours to which the business looks back is held out, unless
-- `again`. With `dry` nothing is written, and the rest of the answer is the same.
--
-- Moves    (nothing) -> queued
-- Returns  one row with how many were `created`, the moment `at` which is theirs, and beside each other their `ids`,
--          `businesses` and `numbers`; then of each that was left out its `place` in what was given, from 1, the
--          `fault`, and `about` it a sentence (refused_call_sentence): own_number (the business would call itself),
--          forgotten (a person who asked for it), no_number, borrowed (from_number is another business's),
--          no_such_zone or no_zone (nobody knows the callee's), what destination_fault says; reached (by a call of
--          this batch that is deleted by now) or lately (called)
-- Races    other enqueues: the unique indexes let one in.  Sorted by number, so that two imports of the same numbers
--          wait for each other instead of locking each other out; one order cannot serve all indexes, and where the
--          same keys come with other numbers PostgreSQL may give one of the two up: run it again
create or replace function queue_calls(
    for_campaign bigint, batch_businesses bigint[], batch_ids bigint[], again boolean, business_ids bigint[],
    from_numbers text[], to_numbers text[], due_ats timestamptz[], idempotency_keys text[], contacts jsonb[],
    time_zones text[], dry boolean
) returns table (
    created bigint, at timestamptz, ids bigint[], businesses bigint[], numbers text[], place bigint, fault text,
    about text
)
language plpgsql
as $$
#variable_conflict use_column
begin
    return query
    with decided as materialized (
        select *
          from judge_calls(for_campaign, batch_businesses, batch_ids, again, business_ids, from_numbers, to_numbers,
                           due_ats, idempotency_keys, contacts, time_zones)
    ), inserted as (
        insert into call_log (business_id, campaign_id, direction, from_number, to_number, status, due_at,
                              idempotency_key, contact, time_zone, batch_id)
        select business_id, for_campaign, 'outbound', caller, to_number, 'queued', coalesce(due_at, now()),
               idempotency_key, contact, time_zone, batch_id
          from decided
         where fault is null and not dry
         order by business_id, phone_key(to_number) collate "C", idempotency_key collate "C"
        on conflict do nothing
        returning id, business_id, to_number
    ), woken as (
        select pg_notify('outbound_due', '') where exists (select from inserted)
    )
    select done.created, now(), done.ids, done.businesses, done.numbers, null::bigint, null, null
      from (select count(*) as created, array_agg(id) as ids, array_agg(business_id) as businesses,
                   array_agg(to_number) as numbers
              from inserted) as done
      left join woken on true
    union all
    select 0, null, null, null, null, place, fault, refused_call_sentence(fault, to_number, business_id)
      from decided
     where fault is not null;
end
$$;

comment on function queue_calls is
'Puts calls in the queue, once each, and says which were left out and why.';

-- What is needed to know of each business, and its campaign, before it calls, with its `place` in what was given,
-- from 1; nothing of one that is not there.  `campaign_id` is NULL where the campaign is not this business's.
-- Without a business, the campaign says whose it is.
create or replace function find_callers(business_ids bigint[], campaign_ids bigint[]) returns table (
    place bigint, id bigint, time_zone text, default_region text, campaign_id bigint, has_ended boolean,
    campaign_calls boolean, can_speak boolean, twiml text, own_number text
)
language sql stable
as $$
    select place, business.id, business.time_zone, business.default_region, campaign.id as campaign_id,
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
      from unnest(business_ids, campaign_ids)
           with ordinality as asked (business_id, campaign_id, place)
     inner join business
        on business.id = coalesce(asked.business_id, (select campaign.business_id
                                                        from campaign
                                                       where campaign.id = asked.campaign_id))
      left join campaign on campaign.id = asked.campaign_id and campaign.business_id = business.id
$$;

comment on function find_callers is
'What is needed to know of businesses and campaigns before they call.';

-- Say what is there of each call that was given: a call of the same key, a live one to the same telephone, one of
-- the same batch, or else the last one that was dialed to it.
--
-- Returns  of each its `place`, from 1; the `telephone`, in the one form that stands for it; `id` and `status` of
--          the call that keeps it out, or NULL; `has_key` true where that has this very key, and `key_of_another`
--          where it is a call of another telephone; `live_status` and `live_due_at` of the live one; `is_twin` true
--          where the batch's own was created at one of `created_ats`; `keeps_time` true where it waits for another
--          moment than was given now; `dialed_id` and `dialed_at` of the last one dialed
create or replace function calls_there(
    business_ids bigint[], to_numbers text[], idempotency_keys text[], due_ats timestamptz[], batch_businesses bigint[],
    batch_ids bigint[], created_ats timestamptz[]
) returns table (
    place bigint, telephone text, id bigint, status text, has_key boolean, key_of_another boolean, live_status text,
    live_due_at timestamptz, is_twin boolean, keeps_time boolean, dialed_id bigint, dialed_at timestamptz
)
language sql stable
as $$
    select given.place, phone_key(given.to_number) as telephone, coalesce(keyed.id, live.id, reached.id) as id,
           coalesce(keyed.status, live.status, reached.status) as status, keyed.id is not null as has_key,
           phone_key(keyed.to_number) <> phone_key(given.to_number) as key_of_another,
           live.status as live_status, live.due_at as live_due_at,
           coalesce(reached.created_at = any(created_ats), false) as is_twin,
           coalesce(
               live.status = 'queued' and live.held_by is null and live.attempt = 1
               and (live.due_at <> given.due_at or given.due_at is null and live.due_at > now()),
               false
           ) as keeps_time,
           dialed.id as dialed_id, dialed.dialed_at
      from unnest(business_ids, to_numbers, idempotency_keys, due_ats)
           with ordinality as given (business_id, to_number, idempotency_key, due_at, place)
      left join unnest(batch_businesses, batch_ids) as batch (of_business, id)
        on of_business = given.business_id
      left join lateral (
           select id, status, to_number
             from call_log
            where business_id = given.business_id and idempotency_key = given.idempotency_key
            limit 1
     ) as keyed on true
      left join lateral (
           select id, status, due_at, held_by, attempt from live_call(given.business_id, given.to_number) limit 1
     ) as live on true
      left join lateral (
           select id, status, created_at
             from call_log
            where batch_id = batch.id and phone_key(to_number) = phone_key(given.to_number) and retry_of is null
            limit 1
     ) as reached on true
      left join lateral (
           select id, dialed_at
             from call_log
            where business_id = given.business_id
              and phone_key(to_number) = phone_key(given.to_number)
              and direction = 'outbound'
              and dialed_at is not null
            order by dialed_at desc
            limit 1
     ) as dialed on true
     order by given.place
$$;

comment on function calls_there is
'Which call is there of each that is given: of its key, live to its telephone, or of its batch.';

-- Does this text hold characters that nobody sees, or that move what a terminal shows?  In a text of several lines
-- tabs, ends of lines and joiners do not count.  The same characters as outbound/formats/plain_text.py refuses.
create or replace function has_unseen(written text, is_of_lines boolean) returns boolean
language sql immutable parallel safe
as $$
    select case when is_of_lines then translate(written, e'\t\n\r\u200c\u200d', '') else written end
    ~ ('[\u0001-\u001f\u007f-\u009f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u180e'
       '\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb'
       '\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001-\U000e007f]')
$$;

comment on function has_unseen is
'Whether a text holds characters that nobody sees; tabs, ends of lines and joiners do not count where it may have several lines.';

-- Are these the digits of a number that people may have, by its calling code, the two digits behind that, and its
-- length? What outbound/formats/numbering_plan.py takes from libphonenumber's patterns (_used), for read_e164.
create or replace function is_number_shape(digits text) returns boolean
language sql immutable parallel safe
return digits ~ (
    '^(1((3[0-68]|8[0-57]|9[0-578]|[24-7][0-8])[0-9]{8})|7((3[04589]|4[127-9]|7[0-267]|8[1-7]|9[0-9])[0-9]{8})|'
    '20((15|3[0-9]|57)[0-9]{6}|(1[0-25])[0-9]{8}|(1[35]|2[0-9]|4[05-8]|5[057]|6[24-689]|8[2468]|9[235-7])'
    '[0-9]{7})|27((2[1-378]|3[1-69]|5[01346-8]|8[1-57]|[1467][0-9])[0-9]{7}|(8[1-4])[0-9]{3,6})|30((2[1-8]|6[89]|'
    '70|94)[0-9]{8})|31((1[0135-8]|2[02-69]|3[0-68]|4[0135-9]|6[1-58]|85|91|[57][0-9])[0-9]{7})|32((1[0-69]|'
    '4[23]|5[0-9]|6[013-57-9]|71|8[0-79]|9[2-4]|[23][2-8])[0-9]{6}|(4[5-9])[0-9]{7})|33((4[1-9]|7[3-9]|'
    '[1-3569][0-9])[0-9]{7})|34((6[0-9]|7[0-48]|[89][1-8])[0-9]{7})|36((1[0-9]|3[2-7]|4[24-9]|5[2-79]|6[23689]|'
    '8[2-57-9]|9[2-69]|[27][2-9])[0-9]{6}|([23][01]|[57]0)[0-9]{7})|39((0[1-9])[0-9]{4}|(0[1-9])[0-9]{5}|(0[1-9])'
    '[0-9]{6}|(0[1-9])[0-9]{9}|(0[1-9]|3[2-9])[0-9]{7}|(43|55|[03][1-9])[0-9]{8})|40((2[3-6]|31)[0-9]{4}|(7[0-9]|'
    '[23][13-6])[0-9]{7})|41((2[12467]|3[1-4]|4[134]|5[256]|6[1289]|7[1-35-9]|[89]1)[0-9]{7})|43((1[2-9]|'
    '2[125-9]|3[13-68]|4[278]|5[0-79]|6[24-9]|7[2-79])[0-9]{5,11}|(1[2-9]|5[0179])[0-9]{4}|(1[2-9]|5[079])'
    '[0-9]{3})|44((1[1-9]|2[03489]|56|7[0-57-9])[0-9]{8}|(1[2-9])[0-9]{7})|45((3[0-689]|8[126-9]|9[1-46-9]|'
    '[24-7][0-9])[0-9]{6})|46((3[356]|4[0246]|6[03]|8[0-9]|90|[12][136])[0-9]{5}|(7[0235689]|9[0-8]|[12][1-9]|'
    '[3-68][0-9])[0-9]{7}|(9[0-8]|[12][1-9]|[3-68][0-9])[0-9]{6})|47((2[1-4]|3[1-3578]|4[015-8]|5[1-35-7]|'
    '6[1-46-9]|85|[79][0-9])[0-9]{6})|48((1[2-8]|2[1-69]|3[2-49]|4[1-8]|5[0-9]|6[0-35-9]|9[145]|[78][1-9])'
    '[0-9]{7}|(30)[0-9]{5})|49((1[5-7]|3[02-9]|[24-9][0-9])[0-9]{9}|(1[67]|3[03-9]|[24-9][0-9])[0-9]{8}|(3[02-9]|'
    '[24-9][0-9])[0-9]{10,11}|(3[03-9]|[24-9][0-9])[0-9]{4,7}|([34]0|[68]9)[0-9]{3})|51((1[0-9]|4[1-4]|5[1-46]|'
    '6[1-7]|7[2-46]|8[02-467])[0-9]{6}|(9[0-9])[0-9]{7})|52((2[02-47-9]|3[1-57-9]|5[569]|8[1-4679]|9[1-35-9]|'
    '[467][1-9])[0-9]{8})|53((2[1-4]|3[1-3]|4[1-35-9]|6[2-4]|[57][0-9])[0-9]{6}|(2[1-4]|3[23]|4[1257-9]|7[0-9])'
    '[0-9]{5}|(3[23]|4[89])[0-9]{4}|(80)[0-9]{8})|54((11|2[2-469]|3[3-8]|67)[0-9]{8}|(9[23])[0-9]{9})|'
    '55((2[12478]|3[1-578]|5[13-5]|7[13-579]|[14689][1-9])[0-9]{8})|56((2[1-3]|3[2-5]|4[1-5]|5[1-3578]|6[13-57]|'
    '7[1-35]|8[0-9]|9[2-9])[0-9]{7})|57((3[0-35]|60)[0-9]{8}|(46)[0-9]{6})|58((2[3-9]|4[12])[0-9]{8})|'
    '60((1[02-46-9]|3[2-9])[0-9]{7}|(1[159])[0-9]{8}|(6[2-79]|9[02-9]|[4578][2-9])[0-9]{6})|61((14|7[0-57-9]|'
    '8[5-9]|[2-4][0-9])[0-9]{7})|62((2[1-9]|3[1-8]|4[0-35-8]|5[1-6]|6[1-5]|7[1-7]|8[1-35-9]|9[0-25-8])[0-9]{7,8}|'
    '(2[235-9]|3[1-8]|4[0-35-8]|5[1-6]|6[1-5]|7[1-7]|9[0-25-8])[0-9]{6}|(2[35-9]|3[2-8]|4[0-35-8]|5[1-6]|6[2-5]|'
    '7[1-7]|8[1-35-9]|9[0-25-8])[0-9]{9}|(8[1-35-9])[0-9]{10}|([36]1)[0-9]{5})|63((2[0-9])[0-9]{4}|(2[3-8]|'
    '3[2-68]|4[2-9]|5[2-6]|6[2-58]|7[24578]|8[2-8])[0-9]{7}|(8[19]|9[0-9])[0-9]{8})|64((2[0-26-9]|70)[0-9]{7}|'
    '(2[0-27-9])[0-9]{8}|(2[16]|3[2-79]|6[235-9]|7[2-57-9]|[49][2-9])[0-9]{6})|65((3[12]|9[0-8]|[68][0-9])'
    '[0-9]{6})|66((14|6[0-8]|[89][0-9])[0-9]{7}|(1[0689]|2[0-9]|3[2-9]|4[2-5]|5[2-6]|7[3-7])[0-9]{6})|81((6[0-9]|'
    '[13][1-9]|[2457-9][2-9])[0-9]{7}|([5-9]0)[0-9]{8})|82((1[0-26-9]|2[1-9]|3[1-3]|5[1-5]|[46][1-4])[0-9]{7}|'
    '(1[0-26-9]|3[1-3]|5[0-5]|70|[46][1-4])[0-9]{8}|(2[1-9])[0-9]{6}|(50)[0-9]{9})|84((2[0-9])[0-9]{8}|(5[12689]|'
    '7[06-9]|8[1-9]|[39][0-9])[0-9]{7})|86((10|2[0-57-9]|3[1579]|4[1-35-8]|5[3-79]|6[369]|7[1-79]|8[1-357-9]|'
    '9[013-579])[0-9]{8}|(10|2[0-57-9]|3[1579]|4[1-35-8]|6[369]|8[1-357-9]|9[013-579]|[57][1-79])[0-9]{5}|'
    '(1[3-9]|37|43|5[1-379]|7[56])[0-9]{9}|(3[1579]|4[1-35-8]|6[369]|8[1-357-9]|9[013-579]|[57][1-79])[0-9]{6,7})'
    '|90((5[013-79]|[2-4][1-8])[0-9]{8})|91((3[1-8]|[15][1-9]|[246-9][0-9])[0-9]{8})|92((2[1-59]|3[0-47]|'
    '4[0-24-9]|5[1-8]|6[0-8]|7[124]|8[1-6]|9[1-469])[0-9]{8}|(2[2-59]|4[014-9]|5[1-7]|6[0-8]|7[124]|8[1-6]|'
    '9[1-469])[0-9]{7})|93((6[0-5]|7[0-9]|[25][0-8]|[34][0-4])[0-9]{7})|94((2[13-7]|3[1-8]|4[157]|5[12457]|'
    '6[35-7]|7[0-24-8]|9[19]|[18][12])[0-9]{7})|95((16|2[2-9])[0-9]{4}|(1[2-47-9]|2[245]|67|8[12]|9[25689])'
    '[0-9]{6}|(1[2-7]|25|4[2-6]|5[2-9]|6[0-9]|7[013-5]|8[1-6])[0-9]{5}|(4[23]|5[246-9]|6[347]|7[145]|8[1-35]|'
    '9[34])[0-9]{7}|(9[246-9])[0-9]{8})|98((1[137]|2[13-68]|3[1458]|4[145]|5[1468]|6[16]|7[1467]|8[13467])'
    '[0-9]{4,5}|(1[137]|2[13-68]|3[1458]|4[145]|5[1468]|6[16]|7[1467]|8[13467]|9[0-49])[0-9]{8})|211((1[289]|'
    '9[1257-9])[0-9]{7})|212((5[2-5]|6[0-9]|7[0-35-8]|80)[0-9]{7})|213((4[013-689]|[1-3][0-9])[0-9]{6}|(5[4-6]|'
    '6[0-9]|7[7-9]|98)[0-9]{7})|216((3[0-26]|4[0-8]|[2579][0-9])[0-9]{6})|218((2[0-8]|3[12]|4[12578]|5[1-578]|'
    '6[1-57-9]|7[1-3]|8[1245]|9[1-6])[0-9]{7})|220((44|8[367])[0-9]{7}|(4[0-5]|[235-9][0-9])[0-9]{5})|'
    '221((3[02369]|7[015-8]|93)[0-9]{7})|222(([2-4][0-9])[0-9]{6})|223((2[01]|4[04]|5[0-3]|8[2-59]|[679][0-9])'
    '[0-9]{6})|224((3[01])[0-9]{6}|(6[0-356])[0-9]{7})|225(([02][157])[0-9]{8})|226((0[1-7]|2[045]|4[4-6]|5[0-8]|'
    '[67][0-9])[0-9]{6})|227((2[013]|7[0467]|[89][0-9])[0-9]{6})|228((2[2-46]|7[0-389]|9[0-36-9])[0-9]{6})|'
    '229((01)[0-9]{8})|230((2[01346-8]|39|4[0-3568]|6[0-9]|83)[0-9]{5}|(5[2457-9]|7[03])[0-9]{6})|231((2[0-9])'
    '[0-9]{6}|(4[67]|[56][0-9])[0-9]{5}|(7[67]|88)[0-9]{7})|232((2[25]|3[0-5]|66|7[0-9]|8[08]|9[09])[0-9]{6})|'
    '233((2[03-9]|3[0-9]|5[03-79])[0-9]{7})|234((20|7[0-2]|[89][01])[0-9]{8})|235((22|3[01]|77|8[5-7]|[69][0-9])'
    '[0-9]{6})|236((2[12]|61|7[02-7])[0-9]{6})|237((24|6[24-9])[0-9]{7})|238((2[2-8]|3[3-6]|4[356]|5[1-37-9]|'
    '9[0-9])[0-9]{5})|239((22|9[089])[0-9]{5})|240((3[35]|55)[0-9]{7})|241((0[1-7]|11|6[0256]|7[467])[0-9]{6}|'
    '([2-7][0-9])[0-9]{5})|242((0[124-6])[0-9]{7})|243((12|8[0-79]|9[016-9])[0-9]{7}|(88|[1-6][0-9])[0-9]{5})|'
    '244((2[0-9]|9[1-79])[0-9]{7})|245((40)[0-9]{5}|(9[56])[0-9]{7})|246((3[78])[0-9]{5})|247(([2-467][0-9])'
    '[0-9]{3})|248((2[125-8]|4[2-46]|64|95)[0-9]{5})|249((1[0-258]|9[0-3569])[0-9]{7})|250((06)[0-9]{6}|'
    '(2[23568]|7[237-9])[0-9]{7})|251((11|2[25]|3[34]|4[67]|5[78]|7[0-3]|8[01]|9[0-9])[0-9]{7})|252((15|24|'
    '9[2-9]|[67][0-9])[0-9]{6}|(3[0-46-8]|4[0-7]|5[57-9]|[12][0-9])[0-9]{5}|(3[59]|4[89]|6[0-9]|7[0-35-9]|8[08]|'
    '90)[0-9]{7}|(8[125]|[134][0-9])[0-9]{4})|253((2[17]|77)[0-9]{6})|254((1[0-48]|20|4[0-6]|6[0-24-9]|[57][0-9])'
    '[0-9]{7}|(20|4[0245]|5[1-79]|6[014-9])[0-9]{6}|(4[245]|5[1-79]|6[01457-9])[0-9]{5})|255((2[2-8]|41|'
    '6[0-35-9]|7[0-9])[0-9]{7})|256((20|[347][0-9])[0-9]{7})|257((2[29]|31|6[1-9]|7[125-9])[0-9]{6})|'
    '258((2[13-8])[0-9]{6}|(8[2-9])[0-9]{7})|260((21|63|7[5-9]|[59][5-8])[0-9]{7})|261((2[02]|3[2-9])[0-9]{7})|'
    '262((26|69)[0-9]{7})|263((29|7[1-37-9])[0-9]{7}|(86)[0-9]{8})|264((6[0147]|8[1-5])[0-9]{7}|(6[1-7])[0-9]{6})'
    '|265((1[2-9])[0-9]{5}|(2[12]|31|77|[89][89])[0-9]{7})|266(([256][0-9])[0-9]{6})|267((2[14-79]|3[125-9]|'
    '4[679]|5[0-9]|6[02568])[0-9]{5}|(7[1-9])[0-9]{6})|268((7[05-9]|[23][2-5])[0-9]{6})|269((7[4-7]|[34][0-9])'
    '[0-9]{5})|290((8[0-9])[0-9]{2}|([2569][0-9])[0-9]{3})|291((1[167]|[78][0-9])[0-9]{5})|297((28|5[2689]|'
    '6[469]|7[347]|9[69])[0-9]{5})|298((6[0-36]|7[1-9]|8[19]|9[16]|[2-5][0-9])[0-9]{4})|299((19|70|[2459][0-9]|'
    '[368][1-9])[0-9]{4})|350((2[0-2]|5[146-8]|60)[0-9]{6})|351((2[1-9]|30|9[1-36])[0-9]{7})|352((2[02-9]|'
    '6[25-79]|8[013-9]|9[02-579]|[3-57][0-9])[0-9]{7}|(2[02-9]|8[013-9]|9[02-579]|[3-57][0-9])[0-9]{2}|(2[02-9]|'
    '8[013-9]|9[02-579]|[3-57][0-9])[0-9]{3}|(2[02-9]|8[013-9]|9[02-579]|[3-57][0-9])[0-9]{4}|(2[02-9]|8[013-9]|'
    '9[02-579]|[3-57][0-9])[0-9]{5}|(2[02-9]|8[013-9]|9[02-579]|[3-57][0-9])[0-9]{6}|(2[02-9]|8[013-9]|9[02-579]|'
    '[3-57][0-9])[0-9]{8}|(2[2-9]|8[013-9]|9[02-579]|[3-57][0-9])[0-9]{9})|353((1[0-9]|2[13]|4[1-469]|5[23679]|'
    '6[4-6]|7[146]|8[35-9]|9[04])[0-9]{7}|(1[0-9]|4[05]|5[01]|[269]1)[0-9]{6}|(2[24-9]|47|58|6[237-9]|9[35-9])'
    '[0-9]{5}|(48)[0-9]{8})|354((38)[0-9]{7}|(6[1-69]|7[5-9]|8[2-69]|[45][1-9])[0-9]{5})|355((4[2-9]|[2358][1-9])'
    '[0-9]{6}|(6[7-9])[0-9]{7})|356((2[0-357]|7[79]|9[289])[0-9]{6})|357((2[2-6]|9[4-79])[0-9]{6})|358((19|'
    '[235689][1-8])[0-9]{3}|(1[3-9]|[23689][1-8]|[45][0-8])[0-9]{4,7}|(4[0-8]|50)[0-9]{8})|359((2[0-9])[0-9]{4}|'
    '(5[1-9]|8[1-6]|[2367][0-9]|[49][1-7])[0-9]{5,6}|(8[7-9]|9[89])[0-9]{7})|370((3[1478]|4[124-6]|52|6[0-9]|70)'
    '[0-9]{6})|371(([26][0-9])[0-9]{6})|372((3[23589]|4[3-8]|5[0-256]|6[0-9]|7[1-9]|88)[0-9]{5}|(5[0-9]|70|'
    '8[1-49])[0-9]{6})|373((2[1-9]|55|7[16-9]|[36][0-9])[0-9]{6})|374((1[0-25]|2[2-68]|33|4[13479]|55|60|77|88|'
    '9[13-9])[0-9]{6})|375((1[5-7]|2[1-359]|33|44)[0-9]{7})|376(([35-8][0-9])[0-9]{4})|377((3[0-9]|4[4-6]|'
    '9[2-47-9])[0-9]{6}|([67][0-9])[0-9]{7})|378((5[158]|6[16])[0-9]{6})|380((4[13-8]|5[0-7]|7[1-357]|89|'
    '[369][1-9])[0-9]{7})|381((67|[1-3][0-9])[0-9]{8}|(6[0-689]|[1-3][0-9])[0-9]{6}|([1-36][0-9])[0-9]{7}|'
    '([1-3][0-9])[0-9]{5}|([1-3][0-9])[0-9]{9}|([1-3][0-9])[0-9]{10})|382((20|3[0-3]|4[01]|5[0-2]|6[036-9]|78)'
    '[0-9]{6})|383((38)[0-9]{7,10}|(4[3-9]|[23][89])[0-9]{6})|385((1[0-9]|2[0-3]|3[1-5]|4[02-47-9]|5[1-3]|7[45]|'
    '98)[0-9]{6}|(2[0-3]|3[1-5]|4[02-47-9]|5[1-3]|9[0-257-9])[0-9]{7})|386((5[1-9]|6[4589]|8[1-3]|[12][2-8]|'
    '[347][0-8])[0-9]{6})|387((49|6[1-356]|[35][0-9])[0-9]{6}|(6[07])[0-9]{7})|389((2[0-356]|3[1-4]|4[2-8]|'
    '7[0-9])[0-9]{6})|420((2[0-9]|3[1257-9]|4[16-9]|5[13-9]|60|7[02379])[0-9]{7})|421((21)[0-9]{4}|(2[2-9]|'
    '6[059]|9[0145]|[3-5][1-8])[0-9]{7})|423((2[1-369]|3[7-9]|7[37-9])[0-9]{5}|(6[4-6])[0-9]{7})|500(([2-7][0-9])'
    '[0-9]{3})|501((6[0-35-7]|[2-578][02])[0-9]{5})|502((80|[267][2-9]|[3-5][0-9])[0-9]{6})|503((2[1-9]|'
    '[5-7][0-9])[0-9]{6})|504((2[24-8]|[37-9][0-9])[0-9]{6})|505((5[578]|6[3-589]|7[5-8]|[28][0-9])[0-9]{6})|'
    '506((2[0-24-7]|4[0-9]|5[07]|6[0-4]|7[0-3]|8[3-9])[0-9]{6})|507((3[0-24-9]|4[347]|5[0-2]|7[02-8]|8[1-578]|'
    '9[0-35-9]|[12][0-9])[0-9]{5}|(6[0-9])[0-9]{6})|508((80)[0-9]{7}|([2-9][0-9])[0-9]{4})|509((2[259]|5[568]|'
    '9[6-9]|[34][0-9])[0-9]{6})|590((80|[56]9)[0-9]{7})|591((2[2568]|3[3489]|4[46]|5[07]|[67][0-9])[0-9]{6})|'
    '592((2[1-35-7]|3[23]|4[45]|5[01]|6[0-9]|7[0-8])[0-9]{5})|593((9[35-9])[0-9]{7}|([2-7][2-7])[0-9]{6})|'
    '594((59|80)[0-9]{7})|595((2[124-9]|3[2-46-9]|4[1-9]|5[1-5]|6[137]|7[1-68]|8[1-36])[0-9]{6}|(2[124-9]|'
    '3[2-46-9]|4[1-9]|5[1-5]|6[137]|7[1-68]|8[1-36]|9[6-9])[0-9]{7}|(3[289]|4[246-8]|61|7[1-3]|8[1-36])[0-9]{5})|'
    '596((80|[56]9)[0-9]{7})|597((2[1-3]|3[0-7]|4[0-9]|5[2-8])[0-9]{4}|(6[08]|7[1-79]|8[1-9]|91)[0-9]{5})|'
    '598((19|2[0-9]|4[2-7]|9[1-9])[0-9]{6})|599((7[0-27-9]|[34]1)[0-9]{5}|(9[4-8])[0-9]{6})|670((2[1-5]|3[1-9]|'
    '4[1-4]|70)[0-9]{5}|(7[2-8])[0-9]{6})|672((14|3[0-258])[0-9]{4})|673(([2-578][0-9])[0-9]{5})|674((55|8[0-9])'
    '[0-9]{5})|675((2[07]|3[0-2]|4[257]|5[34]|64|85|9[78])[0-9]{5}|(7[0-9]|8[1-58])[0-9]{6})|676((2[0-9]|3[0-8]|'
    '4[0-4]|50|6[09]|7[0-24-69]|8[05])[0-9]{3}|(5[45]|6[0389]|7[0-9]|8[46-9])[0-9]{5})|677((1[4-79]|4[0-28]|'
    '5[0-3]|6[0-37]|[23][0-9])[0-9]{3}|(6[89]|7[1-9]|8[4-9]|9[0-9])[0-9]{5})|678((2[02-9]|3[4-8]|[48]8)[0-9]{3}|'
    '(7[0-7]|9[01]|[58][0-9])[0-9]{5})|679((3[0-6]|45|5[01568]|6[25-7]|8[03-9]|[279][0-9])[0-9]{5})|680((4[56]|'
    '62|77|8[38])[0-9]{5})|681((72|[89][23])[0-9]{4})|682((3[13-7]|4[1-5]|[2578][0-9])[0-9]{3})|683(([4-7][0-9])'
    '[0-9]{2})|685((60)[0-9]{4}|(6[1-9]|[2-5][0-9])[0-9]{3}|(7[1-35-8]|8[3-7])[0-9]{5}|(89)[0-9]{8})|686((30|'
    '6[35]|7[0-9])[0-9]{6}|(3[1-9]|50|8[0-5]|[24][0-9])[0-9]{3})|687((2[03-9]|3[0-5]|4[1-7]|[57-9][0-9])[0-9]{4})'
    '|688((2[02-9])[0-9]{3}|(7[01])[0-9]{5}|(90)[0-9]{4})|689((4[09]|8[7-9])[0-9]{6})|690(([27][2-4]|[34][0-9])'
    '[0-9]{2,5})|691((31|9[2-7])[0-9]{5})|692((45)[0-9]{5})|850((19)[0-9]{8}|(2[0-9]|3[19]|4[159]|5[37]|6[17]|'
    '7[39]|85)[0-9]{6})|852((3[14-9]|4[0467]|6[0-9]|70|8[1-4]|9[0-8]|[25][1-9])[0-9]{6})|853((28|6[23568]|'
    '8[2-57-9])[0-9]{6})|855((1[28]|2[3-6]|3[1-68]|4[2-4]|7[1-6]|88|9[67]|[56][2-5])[0-9]{7}|(2[3-6]|3[2-6]|'
    '4[2-4]|5[2-5]|7[02-57-9]|8[013-79]|9[0-57-9]|[16][0-9])[0-9]{6})|856((20)[0-9]{8}|(2[13]|41|8[1468]|'
    '[35-7][14])[0-9]{6}|(30)[0-9]{7})|870((7[6-8]|[2356][0-9])[0-9]{7})|878((10)[0-9]{10})|880((1[13-9]|2[23]|'
    '3[78]|44|6[46]|96)[0-9]{8}|(2[45]|4[34689]|[6-8]2)[0-9]{7}|(2[7-9]|3[0-48]|4[1-689]|6[06]|83|[57][56])'
    '[0-9]{6}|(81)[0-9]{4}|(8[014]|[579]1)[0-9]{5})|881((6[0-9])[0-9]{8}|([0-36-9][0-9])[0-9]{7})|882((16)'
    '[0-9]{5}|(16)[0-9]{9}|(16|32)[0-9]{7}|(16|3[679]|50)[0-9]{10}|(1[06]|23|3[145]|4[15-8]|5[12])[0-9]{8}|'
    '(1[36]|49|9[89])[0-9]{6})|883((51)[0-9]{6,10})|886((2[2-7]|3[2-9]|4[0-37-9]|5[2-8]|6[0-79]|7[1-9]|8[247-9])'
    '[0-9]{6}|(2[2-8]|4[0-49]|55|6[014]|84|9[0-9])[0-9]{7}|(70)[0-9]{8})|960((3[03]|46|6[5-8]|[79][0-9])[0-9]{5})'
    '|961((2[14-9]|7[01689]|81)[0-9]{6}|(7[2-57-9]|8[02-9]|[13-69][0-9])[0-9]{5})|962((2[67]|32|53|6[2-5]|87)'
    '[0-9]{6}|(7[027-9])[0-9]{7})|963((1[1478]|21|3[13]|50|9[03-689])[0-9]{7}|(1[2356]|2[1-5]|34|4[134]|5[1-3])'
    '[0-9]{6})|964((1[0-9]|2[13-5]|3[02367]|4[023]|5[03]|6[026])[0-9]{6}|(2[13-5]|3[02367]|4[023]|5[03]|6[026])'
    '[0-9]{7}|(7[3-9])[0-9]{8})|965((2[2-5]|41|5[0-25-7]|[69][0-9])[0-9]{6})|966((1[1-467]|5[013-9])[0-9]{7})|'
    '967((17)[0-9]{6}|(3[2358]|4[2-58]|5[2-6]|6[3-58]|7[24-68]|[12][2-68])[0-9]{5}|(7[01378])[0-9]{7})|'
    '968((2[1-6]|7[124-9]|9[0-9])[0-9]{6})|970((5[69])[0-9]{7}|([2489]2)[0-9]{6})|971((5[02-68])[0-9]{7}|'
    '([2-4679][2-8])[0-9]{6})|972((5[0-689]|7[236-9])[0-9]{7}|([2-489][0-9])[0-9]{6})|973((1[367]|3[0-9]|6[1369]|'
    '7[017])[0-9]{6})|974((4[014]|[35-7][0-9])[0-9]{6})|975((1[67]|[78]7)[0-9]{6}|(2[3-6]|5[236]|6[2-46]|7[246]|'
    '8[2-4]|[34][5-7])[0-9]{5})|976((1[12]|2[126]|5[03568]|6[069]|7[0-25-9]|8[0135-9]|9[0-9])[0-9]{6}|([12][2-5])'
    '[0-9]{7}|([12][3-5])[0-9]{8})|977((1[0-6]|2[13-79]|3[135-8]|4[146-9]|5[135-7]|6[13-9]|7[15-9]|8[1-46-9]|'
    '9[1-79])[0-9]{6}|(9[6-8])[0-9]{8})|992((1[0-27-9]|2[0-27]|3[0-58]|4[014]|5[05]|66|7[0157-9]|8[017-9]|'
    '[09][0-9])[0-9]{7})|993((1[23]|4[346]|5[56]|6[0-9]|7[12]|[23]4)[0-9]{6})|994((1[028]|2[126]|4[046]|5[015]|'
    '60|7[07]|99)[0-9]{7})|995((3[24-7]|4[1-479]|5[0-9]|70)[0-9]{7})|996((3[124-79]|5[0-24-7]|7[07]|88|99|'
    '[26][02])[0-9]{7})|998((20|33|5[05]|6[125-79]|7[0-9]|8[078]|9[0-57-9])[0-9]{7}))$'
);

comment on function is_number_shape is
'Whether digits are those of a number that people may have, by its code, its next two digits and its length.';

-- The phone number in E.164 that a text means, or NULL where that is not certain.  The text begins with a plus, and
-- has spaces, hyphens or a pair of parentheses between its digits.  outbound/formats/phone_numbers.py reads more,
-- and nothing that is read here in another way.
create or replace function read_e164(written text) returns text
language sql stable
as $$
    select number
      from (select regexp_replace($1, '[ ()-]', '', 'g') as number
             where $1 ~ '^\+([0-9]{1,3}[ -]?)?(\([0-9]{1,4}\)[ -]?)?[0-9]+([ -][0-9]+)*$'
                   and length($1) <= 40) as plain
     cross join lateral number_place(number) as place
     where number ~ '^\+[1-9][0-9]{8,14}$'
       and number !~ '([0-9])\1{5}$'  -- what forms hold where nobody gave a number
       and is_number_shape(substr(number, 2))
       and place.kind not in ('unknown', 'never', 'voicemail')
$$;

comment on function read_e164 is
'The phone number that a text with a plus means, or NULL where that is not certain.';

-- The moment that a text in ISO 8601 with an offset means, or NULL where it means none: it never raises an error.
create or replace function read_moment(written text) returns timestamptz
language sql stable
as $$
    select case
               when part[2]::integer between 1 and 12
                    and part[3]::integer between 1 and extract(
                        day from make_date(part[1]::integer, part[2]::integer, 1) + interval '1 month -1 day'
                    )
                   then $1::timestamptz
           end
      from regexp_match($1, '^((?:19|20|21)[0-9]{2})-(0[1-9]|1[0-2])-([0-9]{2})[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]'
                            '(?::[0-5][0-9](?:\.[0-9]{1,6})?)?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])$') as part
$$;

comment on function read_moment is
'The moment that ISO 8601 with an offset means, or NULL where it means none.';

-- The IANA time zone that a text names as it is written today, or NULL where that is not certain.
create or replace function read_zone(written text) returns text
language sql stable
as $$
    select $1
     where $1 ~ '^[A-Z][A-Za-z_]+(/[A-Z][A-Za-z_-]+)+$'
       and $1 !~ '^(Etc|SystemV|US|Brazil|Canada|Chile|Mexico|Arctic)/'
       and not exists (select from former_zone where name = $1)
       and is_time_zone($1)
$$;

comment on function read_zone is
'A present IANA name that this server knows, or NULL.';

-- Why what is given of a callee (a JSON object of texts, or NULL) is refused, in a sentence; NULL where it is taken.
create or replace function contact_fault(contact jsonb, twiml text) returns text
language sql stable
as $$
    select case
               when count(*) > 50 then 'a contact has at most 50 fields'
               when bool_or(value is null) then 'each field of the contact must be text'
               when bool_or(length(value) > 1000 or length(name) > 100)
                   then 'a field of the contact must be text of 1000 characters at most, and its name of 100'
               when bool_or(name !~ '^[A-Za-z0-9_.\u05d0-\u05ea-]+( [A-Za-z0-9_.\u05d0-\u05ea-]+)*$')
                   then 'a field of the contact is named with letters (a to z, Hebrew), digits, _, - and single spaces'
               when count(distinct lower(name)) < count(*)
                   then 'two fields of the contact have one name: upper and lower case do not count'
               when bool_or(has_unseen(value, true))
                   then 'a field of the contact holds a character that cannot be seen: leave it out'
               when octet_length($1::text) > 8192 then 'the contact''s fields have more than 8192 bytes in all'
               when $2 like '%{{%'
                    and length($2) + (length($2) - length(replace($2, '{{', ''))) / 2 * 6 * max(length(value)) > 4000
                   then 'with this contact''s fields the TwiML may have more than 4000 characters: give shorter ones'
           end
      from (select key as name, case when jsonb_typeof(field.value) = 'string' then field.value #>> '{}' end as value
              from jsonb_each($1) as field
             where field.value not in ('null', '""')) as given
$$;

comment on function contact_fault is
'Why what is given of a callee is refused, in a sentence; NULL where it is taken.';

-- Why a JSON value is no call that can be read, in a sentence; NULL where its fields are known and of the right
-- types.
create or replace function call_shape_fault(call jsonb) returns text
language sql immutable parallel safe
as $$
    select case
               when jsonb_typeof($1) is distinct from 'object'
                   then 'a call is a JSON object, like {"business_id": 1, "to_number": "+97231234567"}'
               else (select case
                                when field.key not in ('to_number', 'business_id', 'campaign_id', 'from_number',
                                                       'due_at', 'key', 'contact', 'time_zone')
                                    then format('a call has no field %L: there are to_number, business_id, campaign_id,'
                                                ' from_number, due_at, key, contact, time_zone', left(field.key, 50))
                                when field.key in ('business_id', 'campaign_id')
                                    then format('`%s` must be the id of one, a whole number: see `outbound %s list`',
                                                field.key, left(field.key, -3))
                                when field.key = 'contact' then '`contact` must be an object with a text for each name'
                                else format('`%s` must be text', field.key)
                            end
                       from jsonb_each(case when jsonb_typeof($1) = 'object' then $1 else '{}' end) as field
                      where field.value <> 'null'
                        and case
                                when field.key in ('business_id', 'campaign_id')
                                    then field.value::text !~ '^[0-9]{1,18}$'
                                when field.key = 'contact' then jsonb_typeof(field.value) <> 'object'
                                when field.key in ('to_number', 'from_number', 'due_at', 'key', 'time_zone')
                                    then jsonb_typeof(field.value) <> 'string'
                                else true
                            end
                      order by field.key
                      limit 1)
           end
$$;

comment on function call_shape_fault is
'Why a JSON value is no call that can be read, in a sentence; NULL where it can.';

-- Calls as JSON, each with its `place`, from 0, read by the rules of its business; or with the `fault` that keeps it
-- out, a sentence without its data.  `of_business` and `of_campaign` own those that name neither.
create or replace function read_calls(calls jsonb, of_business bigint, of_campaign bigint) returns table (
    place integer, business_id bigint, campaign_id bigint, from_number text, to_number text, due_at timestamptz,
    key text, contact jsonb, time_zone text, zone text, fault text
)
language sql stable
as $$
    with given as materialized (
        select ordinality::integer - 1 as place, value as call, call_shape_fault(value) as fault
          from jsonb_array_elements(calls) with ordinality
    ), named as materialized (
        select place, call, fault,
               case when fault is null then (call ->> 'business_id')::bigint end as business_id,
               case when fault is null then (call ->> 'campaign_id')::bigint end as campaign_id
          from given
    ), owned as materialized (
        select place, call, fault,
               case when coalesce(business_id, campaign_id) is null then $2 else business_id end as business_id,
               case when coalesce(business_id, campaign_id) is null then $3 else campaign_id end as campaign_id
          from named
    ), owner as materialized (
        select array_agg(business_id) as business_ids, array_agg(campaign_id) as campaign_ids
          from (select distinct business_id, campaign_id
                  from owned
                 where fault is null and coalesce(business_id, campaign_id) is not null) as asked
    ), caller as materialized (
        select asked.business_id as asked_business, asked.campaign_id as asked_campaign, found.*
          from owner
         cross join lateral unnest(business_ids, campaign_ids) with ordinality as asked (business_id, campaign_id, nth)
          left join find_callers(business_ids, campaign_ids) as found on found.place = asked.nth
    ), text as materialized (
        select owned.place, owned.fault, owned.business_id as asked_business, owned.campaign_id as asked_campaign,
               caller.id as business_id, caller.campaign_id as own_campaign, caller.has_ended, caller.can_speak,
               caller.campaign_calls, caller.own_number, caller.twiml, caller.time_zone as business_zone,
               nullif(call ->> 'to_number', '') as to_written, nullif(call ->> 'from_number', '') as from_written,
               nullif(call ->> 'due_at', '') as due_written, nullif(call ->> 'key', '') as key,
               nullif(call -> 'contact', 'null') as contact, nullif(btrim(call ->> 'time_zone'), '') as zone_written
          from owned
          left join caller
            on caller.asked_business is not distinct from owned.business_id
           and caller.asked_campaign is not distinct from owned.campaign_id
    ), read as materialized (
        select text.*, read_e164(to_written) as to_number, read_e164(from_written) as from_number,
               read_moment(due_written) as due_at, read_zone(zone_written) as time_zone
          from text
    )
    select place, business_id, asked_campaign,
           case when from_written is null and not campaign_calls then own_number else from_number end,
           to_number, due_at, key,
           (select jsonb_object_agg(lower(field.key), field.value)
              from jsonb_each(case when jsonb_typeof(contact) = 'object' then contact end) as field
             where field.value not in ('null', '""')),
           time_zone,
           case
               when due_at is not null
                   then coalesce(time_zone, case when cardinality(callee_zones(to_number, null)) = 1
                                                then (callee_zones(to_number, null))[1] end, business_zone)
           end,
           case
               when fault is not null then fault
               when asked_business is null and asked_campaign is null
                   then 'say whose call this is: give a business or a campaign'
               when business_id is null and asked_campaign is null
                   then 'there is no such business: see `outbound business list`'
               when business_id is null then 'there is no such campaign: see `outbound campaign list`'
               when asked_campaign is not null and own_campaign is null
                   then format('the campaign is not one of business %s: see `outbound campaign list`', business_id)
               when has_ended
                   then format('campaign %s has ended: `outbound campaign set %1$s --ends ...`', asked_campaign)
               when not can_speak
                   then format('business %s has nothing to say: `outbound business set %1$s --twiml ...`', business_id)
               when to_written is null then '`to_number` is empty: give a phone number'
               when to_number is null
                   then '`to_number` is not read as a phone number for certain: write it in E.164, like +97231234567'
               when from_written is not null and from_number is null
                   then '`from_number` is not read as a phone number for certain: write it in E.164, like +97231234567'
               when from_written is null and not campaign_calls and own_number is null
                   then format('business %s has no number of its own: give a from number', business_id)
               when due_written is not null and due_at is null
                   then '`due_at` is not a moment with an offset: write it like 2026-11-30T09:00+02:00'
               when due_at < now() - interval '730 days'
                   then '`due_at` lies more than 2 years in the past: leave it out to call at once'
               when due_at > now() + interval '3650 days'
                   then '`due_at` lies more than 10 years ahead: give an earlier moment'
               when length(key) > 255 then '`key` must be text of 255 characters at most'
               when has_unseen(key, false) then '`key` holds a character that cannot be seen: leave it out'
               when key ~ '^(retry|again):'
                   then format('`key` may not begin with %s: which is how further attempts are named',
                               split_part(key, ':', 1))
               when zone_written is not null and time_zone is null
                   then '`time_zone` is not an IANA name of today, like Asia/Jerusalem'
               else contact_fault(contact, twiml)
           end
      from read
$$;

comment on function read_calls is
'Calls as JSON, each read by the rules of its business, or with the fault that keeps it out.';

-- Put calls of one campaign, or of none, in the queue, and say of each which call is there now: a part of
-- enqueue_calls.
--
-- Moves    (nothing) -> queued
-- Returns  a JSON object with an answer for each place
-- Races    as queue_calls; a twin that was committed in this instant is seen at the second look
create or replace function enqueue_read_calls(
    for_campaign bigint, places integer[], business_ids bigint[], from_numbers text[], to_numbers text[],
    due_ats timestamptz[], idempotency_keys text[], contacts jsonb[], time_zones text[], zones text[]
) returns jsonb
language plpgsql
as $$
declare
    refused jsonb;
    new_ids bigint[] := '{}';
    answers jsonb;
begin
    for attempt in 1..5 loop
        -- What is there already is left as it is: all are given again.
        select jsonb_object_agg(
                   places[written.place],
                   jsonb_build_object('place', places[written.place], 'fault', written.about)
               ) filter (where written.fault is not null),
               new_ids || max(written.ids) filter (where written.ids is not null)
          into refused, new_ids
          from queue_calls(for_campaign, '{}', '{}', true, business_ids, from_numbers, to_numbers, due_ats,
                           idempotency_keys, contacts, time_zones, false) as written;
        select jsonb_object_agg(places[found.place], found.answer)
          into answers
          from (select there.place,
                       case
                           when there.key_of_another
                               then jsonb_build_object(
                                        'place', places[there.place],
                                        'fault', 'the key belongs to a call of another number: give this call a key of'
                                                 ' its own, or none')
                           when there.is_new
                               then jsonb_build_object(
                                        'call_id', there.id, 'status', there.status, 'created', true, 'has_key', true,
                                        'due', moment_text(due_ats[there.place], zones[there.place]))
                           else jsonb_build_object('call_id', there.id, 'status', there.status, 'created', false,
                                                   'has_key', there.has_key, 'due', null)
                       end as answer
                  from (select looked.*,
                               looked.id = any(new_ids)
                               and looked.has_key = (idempotency_keys[looked.place] is not null)
                               and row_number() over (
                                       partition by looked.id order by looked.has_key desc, looked.place
                                   ) = 1 as is_new
                          from calls_there(business_ids, to_numbers, idempotency_keys, due_ats, '{}', '{}', '{}')
                               as looked) as there
                 where (there.id is not null or there.key_of_another)
                   and not coalesce(refused ? places[there.place]::text, false)) as found;
        answers := coalesce(answers, '{}') || coalesce(refused, '{}');
        exit when (select count(*) from jsonb_object_keys(answers)) = cardinality(places);
    end loop;
    return (select jsonb_object_agg(place, jsonb_build_object(
                       'place', place,
                       'fault', 'another call to this number is being written at this moment: try again'))
              from unnest(places) as place) || answers;
end
$$;

comment on function enqueue_read_calls is
'Put calls of one campaign, or of none, in the queue, and say of each which call is there now.';

-- Put calls in the queue, in the caller's own transaction: what outbound.enqueue_calls does in Python, for who has
-- SQL.
--
-- Moves    (nothing) -> queued
-- Returns  a JSON array with an object for each call, in the order given: `call_id`, `status`, `created` (false
--          where it was there already), `has_key` and `due`; or its `place`, from 0, and the `fault`.  Where nothing
--          can be read, one object with a `fault`
-- Races    as queue_calls
create or replace function enqueue_calls(
    calls jsonb, business_id bigint default null, campaign_id bigint default null
) returns jsonb
language plpgsql
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

comment on function enqueue_calls is
'Put up to 10,000 calls in the queue, given as a JSON array; answers with one object for each, in their order.';

-- Put one call in the queue, in the caller's own transaction; enqueue_calls says what is answered.
create or replace function enqueue_call(call jsonb) returns jsonb
language sql
as $$
    select answer - 'place' from jsonb_array_elements(enqueue_calls(jsonb_build_array(call))) as answer
$$;

comment on function enqueue_call is
'Put one call in the queue, given as a JSON object; answers with an object, which has a fault where it was refused.';

-- Why a call is not being dialed, as JSON, where outbound's settings have their defaults: `code`, `sentence`,
-- `until` and `details`.  What stops all dialing comes before the call's own reasons, once it waits to be dialed.
create or replace function why(call_id bigint) returns jsonb
language sql stable
as $$
    with own as (
        select code, sentence, until, details from why_not_dialed($1)
    ), stop as (
        select 'stopped_' || cause as code,
               reason || ' Nothing is dialed since ' || moment_text(since) || '.' as sentence,
               null::timestamptz as until, jsonb_build_object('since', since) as details
          from dialing_stop
         where (select code from own) not in ('unknown_call', 'ended', 'in_the_air', 'claimed')
         order by cause desc
         limit 1
    )
    select jsonb_build_object('code', code, 'sentence', sentence, 'until', until, 'details', details)
      from (select code, sentence, until, details from stop
            union all
            select code, sentence, until, details from own where not exists (select from stop)) as reason
$$;

comment on function why is
'Why a call is not being dialed: code, sentence, until and details as a JSON object.';

-- Close a call that waits, or ask the carrier for an end of one that rings, once this transaction commits.
--
-- Moves    queued, claimed -> canceled
-- Returns  a JSON object: how many calls that are, `waiting` and `in_the_air`; or the `fault`, and nothing was
--          changed
-- Races    a worker that begins to dial first wins: the call rings then, and is ended
create or replace function cancel_call(call_id bigint, reason text default null, by text default null) returns jsonb
language plpgsql
as $$
declare
    closed bigint;
    asked bigint := 0;
    was text;
    actor text := coalesce(nullif(by, ''), nullif(current_setting('outbound.by', true), ''), session_user);
begin
    if greatest(length(reason), length(by)) > 200 or has_unseen(concat(reason, by), false) then
        return jsonb_build_object('fault', 'the reason and the name must be one line of 200 characters at most each');
    end if;
    select status into was from call_log where id = cancel_call.call_id and direction = 'outbound';
    if was is null then
        return jsonb_build_object('fault', 'there is no such outbound call: see `outbound calls`');
    end if;
    closed := cancel_waiting_calls(array[cancel_call.call_id], nullif(cancel_call.reason, ''), actor);
    if closed = 0 then
        select status into was from call_log where id = cancel_call.call_id for update;
        asked := (was in ('initiated', 'ringing'))::integer;
        if asked = 0 then
            return jsonb_build_object('fault', format(
                case
                    when was = 'in-progress' then 'call %s is in-progress: `outbound stop call %1$s` hangs up'
                    else 'call %s has ended: %s'
                end, cancel_call.call_id, was
            ));
        end if;
        update call_log
           set hang_up = coalesce(hang_up, 'canceled'),
               hang_up_asked_at = null,
               stopped_by = case when hang_up is null then actor else stopped_by end,
               stop_reason = case when hang_up is null then nullif(cancel_call.reason, '') else stop_reason end
         where id = cancel_call.call_id;
    end if;
    insert into audit (who, action, scope, key, details)
    values (actor, 'cancel', 'call', cancel_call.call_id::text,
            jsonb_build_object('reason', nullif(cancel_call.reason, ''), 'waiting', closed, 'in_the_air', asked));
    return jsonb_build_object('waiting', closed, 'in_the_air', asked);
end
$$;

comment on function cancel_call is
'Close a call that waits, or ask for an end of one that rings; answers with a JSON object.';
