-- context.sql: whose a row is, and answers that are given again.  Read by outbound/api/context.py alone.
-- Each takes :business_id, the one business of the token, or null for a token of all.

-- name: is_own_business(business_id, id)$
-- Returns  may the token see this business
select exists (select from business where id = :id and (:business_id::bigint is null or id = :business_id));

-- name: is_own_campaign(business_id, id)$
select exists (select from campaign where id = :id and (:business_id::bigint is null or business_id = :business_id));

-- name: is_own_call(business_id, id)$
select exists (select from call_log where id = :id and (:business_id::bigint is null or business_id = :business_id));

-- name: begin_request(token_id, key, body_sha256)$
-- Take an idempotency key; who sent the same at the same time is waited for.
--
-- Returns  is it new
-- Races    of two with one key the second waits for the first's commit, and is then not new; who works in parts holds
--          the same lock
insert into api_request (token_id, key, body_sha256)
select :token_id, :key, :body_sha256
  from pg_advisory_xact_lock(hashtextextended('api_request'::regclass::int || ' ' || :key, :token_id))
on conflict (token_id, key) do nothing
returning true;

-- name: try_lock_key(token_id, key)$
-- Be the only one who answers requests with this key, until unlock_key or the end of the session.
--
-- Returns  is nobody else at it
select pg_try_advisory_lock(hashtextextended('api_request'::regclass::int || ' ' || :key, :token_id));

-- name: is_key_locked(token_id, key)$
-- Is somebody at work who holds the lock of this key?  It takes no lock itself, by which another one could be refused.
select exists (
    select from pg_locks
     where locktype = 'advisory'
       and database = (select oid from pg_database where datname = current_database())
       and objsubid = 1
       and (classid::bigint << 32) | objid::bigint
           = hashtextextended('api_request'::regclass::int || ' ' || :key, :token_id)
       and granted
);

-- name: unlock_key(token_id, key)$
select pg_advisory_unlock(hashtextextended('api_request'::regclass::int || ' ' || :key, :token_id));

-- name: find_request(token_id, key)^
select body_sha256, status, answer, content_language from api_request where token_id = :token_id and key = :key;

-- name: forget_lost_promise(token_id, key, body_sha256, silent_s)!
-- Forget the answer that promised an import (202) which ended before its file was read: broken off, refused, or of a process
-- that has written nothing for `silent_s`.  The same file under the same key is then read.
--
-- Races    of two repeats one begins the work, and the other finds its answer
delete from api_request
 using call_import
 where api_request.token_id = :token_id
   and api_request.key = :key
   and api_request.body_sha256 = :body_sha256
   and api_request.status = 202
   and call_import.id = (api_request.answer ->> 'id')::bigint
   and (call_import.state in ('broken_off', 'refused')
        or call_import.state = 'running' and call_import.seen_at < now() - make_interval(secs => :silent_s));

-- name: keep_answer(token_id, key, body_sha256, status, answer, content_language)!
-- Keep the answer of a request, to be given again to its repeats for 72 hours.
insert into api_request (token_id, key, body_sha256, status, answer, content_language)
values (:token_id, :key, :body_sha256, :status, :answer::jsonb, :content_language)
on conflict (token_id, key) do update
   set status = excluded.status, answer = excluded.answer, content_language = excluded.content_language
 where api_request.body_sha256 = excluded.body_sha256;
