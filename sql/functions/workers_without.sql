-- How many of the living worker processes lack an account's credentials: none of its calls is begun while one does, as
-- any of them may get the nudge.
create or replace function workers_without(account text, worker_silent_s float8 default 10) returns bigint
language sql stable
return (select count(*)
          from worker
         where account is not null
           and seen_at > now() - make_interval(secs => worker_silent_s)
           and account <> all(accounts));
