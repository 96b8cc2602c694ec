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
