-- Which of our statuses an old call's two words mean; NULL where neither tells.  A word that the carrier's callback wrote
-- at the end counts in either column.  One expression, so that a query over many rows has no function to call.
create or replace function word_of_old_call(status text, call_status text) returns text
language sql immutable parallel safe
return case
    when meaning_of_old_word(status) in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
        then meaning_of_old_word(status)
    when meaning_of_old_word(call_status) in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
        then meaning_of_old_word(call_status)
    when 'over' in (meaning_of_old_word(status), meaning_of_old_word(call_status)) then 'completed'
    else coalesce(meaning_of_old_word(status), meaning_of_old_word(call_status))
end;
