-- Put calls in the queue, in the caller's own transaction, and wake the dispatchers when that commits.  Calls that
-- are there already are left as they are, and what must not be is left out.  Without a from-number, the campaign's
-- that suits the callee calls.
--
-- The calls of a business are of the batch that stands beside its id in `batch_businesses` and `batch_ids`, which
-- reaches a telephone once.  A number that was called in the hours to which the business looks back is held out, unless
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
