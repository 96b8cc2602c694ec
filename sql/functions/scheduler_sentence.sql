-- NULL while a scheduler is alive: it dispatches, and says at least every ten seconds that a maintenance task ended.
create or replace function scheduler_sentence(silent_s float8) returns text
language sql stable
as $$
    select 'No scheduler is alive, so that nothing is dialed or cleaned up ('
           || case
                  when max(last_success_at) > '-infinity' then 'silent since ' || moment_text(max(last_success_at))
                  else 'none has ever run'
              end
           || '): start `outbound scheduler`.'
      from duty
    having coalesce(max(last_success_at) < now() - make_interval(secs => $1), true)
$$;
