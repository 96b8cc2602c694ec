-- What a word of the old tables means: one of our statuses, `over` where a later step wrote it over the end, or NULL.
create or replace function meaning_of_old_word(word text) returns text
language sql immutable parallel safe
return case translate(lower(trim(word)), '_ ', '--')
    when 'completed' then 'completed'
    when 'busy' then 'busy'
    when 'no-answer' then 'no-answer'
    when 'noanswer' then 'no-answer'
    when 'failed' then 'failed'
    when 'rejected-capacity' then 'failed'
    when 'canceled' then 'canceled'
    when 'cancelled' then 'canceled'
    when 'recorded' then 'over'
    when 'processed' then 'over'
    when 'ended' then 'over'
    when 'hangup' then 'over'
    when 'hung-up' then 'over'
    when 'queued' then 'initiated'
    when 'received' then 'initiated'
    when 'initiated' then 'initiated'
    when 'dialing' then 'initiated'
    when 'calling' then 'initiated'
    when 'ringing' then 'ringing'
    when 'in-progress' then 'in-progress'
    when 'streaming' then 'in-progress'
    when 'answered' then 'in-progress'
end;
