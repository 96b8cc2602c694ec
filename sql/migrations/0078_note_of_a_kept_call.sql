-- What is said of a call that is there already is one sentence for Python and SQL: it is under way, or for when it waits, by
-- the callee's clocks; SQL says of a moment that is past that the call is due at once.
-- depends: 0077_report_of_an_import

-- What is said to a request that met a call which is there already and is not moved: it is under way, or waits for
-- `live_due`, another moment than was given (`is_for_now`: none was), as sentences have it; NULL of any other call.
create or replace function kept_call_note(status text, live_due text, is_for_now boolean) returns text
language sql immutable parallel safe
return case
    when $1 in ('claimed', 'initiated', 'ringing', 'in-progress') then 'the call is under way already'
    when $1 = 'queued' and $3 then 'the call waits for ' || $2 || ' already: reschedule it to have it made now'
    when $1 = 'queued' then '`at` changes nothing: the call waits for ' || $2 || ' already; reschedule it to move it'
end;

-- It answers with other columns.
-- squawk-ignore ban-drop-function
drop function if exists calls_there(bigint[], text[], text[], timestamptz[], bigint[], bigint[], timestamptz[]);

-- Say what is there of each call that was given: a call of the same key, a live one to the same telephone, one of
-- the same batch, or else the last one that was dialed to it.
--
-- Returns  of each its `place`, from 1; the `telephone`, in the one form that stands for it; `id` and `status` of
--          the call that keeps it out, or NULL; `has_key` true where that has this very key, and `key_of_another`
--          where it is a call of another telephone; `live_status` of the live one; `is_twin` true
--          where the batch's own was created at one of `created_ats`; `keeps_time` true where it waits for another
--          moment than was given now, `live_due` as sentences have it; `dialed_id` and `dialed_at` of the last one
--          dialed; and what kept_call_note says
create or replace function calls_there(
    business_ids bigint[], to_numbers text[], idempotency_keys text[], due_ats timestamptz[], batch_businesses bigint[],
    batch_ids bigint[], created_ats timestamptz[]
) returns table (
    place bigint, telephone text, id bigint, status text, has_key boolean, key_of_another boolean, live_status text,
    is_twin boolean, keeps_time boolean, live_due text, dialed_id bigint, dialed_at timestamptz, note text
)
language sql stable
as $$
    select given.place, phone_key(given.to_number) as telephone, coalesce(keyed.id, live.id, reached.id) as id,
           coalesce(keyed.status, live.status, reached.status) as status, keyed.id is not null as has_key,
           phone_key(keyed.to_number) <> phone_key(given.to_number) as key_of_another,
           live.status as live_status,
           coalesce(reached.created_at = any(created_ats), false) as is_twin,
           coalesce(live.keeps_time, false) as keeps_time, live.due as live_due,
           dialed.id as dialed_id, dialed.dialed_at,
           kept_call_note(coalesce(keyed.status, live.status, reached.status), live.due, given.due_at is null) as note
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
           select one.id, one.status, waits.keeps_time, case when waits.keeps_time then due_text(one) end as due
             from live_call(given.business_id, given.to_number) as one
            cross join lateral (
                  select one.status = 'queued' and one.held_by is null and one.attempt = 1
                         and (one.due_at <> given.due_at or given.due_at is null and one.due_at > now()) as keeps_time
            ) as waits
            limit 1
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
                   jsonb_build_object('place', places[written.place],
                                      -- Python and files have a shorter name for it.
                                      'fault', regexp_replace(written.about, '^`to`', '`to_number`'))
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
                                        'due', moment_text(due_ats[there.place], zones[there.place]),
                                        'note', case
                                            when due_ats[there.place] < now() - interval '1 minute'
                                                then '`due_at` is past: the call is due at once'
                                        end)
                           else jsonb_build_object(
                                    'call_id', there.id, 'status', there.status, 'created', false,
                                    'has_key', there.has_key, 'due', null,
                                    'note', regexp_replace(there.note, '^`at`', '`due_at`'))
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

comment on function kept_call_note is
    'What is said to a request that met a call which is there already and is not moved.';
comment on function calls_there is
'Which call is there of each that is given: of its key, live to its telephone, or of its batch.';
