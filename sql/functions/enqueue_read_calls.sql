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
