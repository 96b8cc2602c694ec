-- A callback speaks of a call that was never dialed here: hold the call, and have the carrier asked about this call_sid.
-- Where the carrier knew nothing of it and now says more, it is asked again: its lists lag behind.  `was_paused`: the
-- call was paused by somebody else before, so that it stays paused after the answer.
--
-- Moves    queued, claimed -> queued, and held
-- Returns  is the carrier to be asked
create or replace function put_in_question(call_id bigint, call_sid text, was_paused boolean) returns boolean
language sql
as $$
    with question as (
        insert into call_in_question (call_id, call_sid, was_paused)
        values ($1, $2,
                $3 and coalesce((select bool_or(other.was_paused)
                                   from call_in_question as other
                                  where other.call_id = $1 and other.answer is null), true))
        on conflict (call_id, call_sid) do update
           set answer = null, looks = 0, looked_at = null, was_paused = excluded.was_paused
         where call_in_question.answer in ('absent', 'other_call')
        returning call_in_question.call_id
    ), said_why as (
        insert into audit (who, action, scope, key, details)
        select 'outbound', 'pause', 'call', question.call_id,
               '{"reason": "The carrier speaks of this call, which was never dialed here: it is asked first."}'::jsonb
          from question
    ), held as (
        update call_log
           set status = 'queued', overdue_at = null, paused_at = coalesce(paused_at, now())
          from question
         where call_log.id = question.call_id and status in ('queued', 'claimed')
    )
    select exists (select from question)
$$;
