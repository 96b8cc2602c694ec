-- Put one call in the queue, in the caller's own transaction; enqueue_calls says what is answered.
create or replace function enqueue_call(call jsonb) returns jsonb
language sql
as $$
    select answer - 'place' from jsonb_array_elements(enqueue_calls(jsonb_build_array(call))) as answer
$$;
