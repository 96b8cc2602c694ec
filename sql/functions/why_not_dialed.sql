-- Why this call is not being dialed: the first reason that holds, in a sentence that an operator can act upon, and until
-- when, where that is known.  The reasons are those of the claim (dispatch.sql), in the order in which they must be mended,
-- which is their `place`; the arguments are what the claim is given.
create or replace function why_not_dialed(
    call_id bigint, claim_s float8 default 30, ring_s float8 default 30, worker_silent_s float8 default 10,
    claims_per_thread integer default 16, account_rate float8 default null, scheduler_silent_s float8 default 60
) returns table (code text, sentence text, until timestamptz, details jsonb)
language sql stable
as $$
    select code, sentence, until, details
      from (select * from why_by_status($1)
            union all
            select * from why_by_rules($1, claim_s, ring_s, worker_silent_s)
            union all
            select * from why_by_limits($1, account_rate)
            union all
            select * from why_by_processes($1, worker_silent_s, claims_per_thread, scheduler_silent_s)) as reason
     order by place
     limit 1
$$;
