-- Which workers lack an account's credentials, in a sentence that an operator can act upon.  NULL where none does.
create or replace function account_sentence(account text, worker_silent_s float8 default 10) returns text
language sql stable
return (select format('The credentials of account %s are missing in %s of %s worker processes: put the file %s.json'
                      ' into TWILIO_ACCOUNTS_DIR of every host.', account, lacking, alive, account)
          from (select count(*) as alive, count(*) filter (where account <> all(accounts)) as lacking
                  from worker
                 where seen_at > now() - make_interval(secs => worker_silent_s)) as living
         where account is not null and lacking > 0);
