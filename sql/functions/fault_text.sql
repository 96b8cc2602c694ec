-- The text of a database's error, without what the row holds.
create or replace function fault_text(step text, state text, message text) returns text
language sql immutable parallel safe
return format('%s failed%s: %s', step, coalesce(' with SQLSTATE ' || nullif(state, ''), ''),
              left(regexp_replace(coalesce(message, ''), '"[^"]*"|''[^'']*''|[0-9+]{5,}', '...', 'g'), 300));
