-- Close those of these calls that nobody has begun to dial; their rows say who wanted it, and why.
--
-- Moves    queued, claimed -> canceled
-- Returns  how many
-- Races    a worker that begins to dial first wins: its row is no longer 'claimed'
create or replace function cancel_waiting_calls(call_ids bigint[], reason text, actor text) returns bigint
language sql
as $$
    with locked as (
        select id
          from call_log
         where id = any(call_ids) and status in ('queued', 'claimed')
         order by id
           for update
    ), moved as (
        update call_log
           set status = 'canceled',
               error_code = 'operator_canceled',
               error_message = 'An operator canceled it' || coalesce(': ' || reason, '') || '.',
               stopped_by = actor,
               stop_reason = reason,
               overdue_at = null,
               held_by = null,
               ended_at = now()
          from locked
         where call_log.id = locked.id and status in ('queued', 'claimed')
        returning call_log.id
    ), counted as (
        insert into counter (name, label, value)
        select 'ended', 'canceled', count(*) from moved having count(*) > 0
        on conflict (name, label, slot) do update set value = counter.value + excluded.value
    )
    select count(*) from moved
$$;
