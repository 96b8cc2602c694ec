-- demo.sql: what the demo shows of its own small database.  Read by outbound/local/demo.py and outbound/local/demo_place.py.

-- name: hold_name(name)$
-- Keep a database's name for this demo, for as long as this connection lives.
--
-- Returns  false where another demo has it
select pg_try_advisory_lock(hashtext(:name));

-- name: summary()^
-- Returns  one row: how every call ended, and what must be zero
select (select count(*) from call_log) as calls,
       (select coalesce(jsonb_object_agg(status, calls), '{}')
          from (select status, count(*) as calls from call_log group by status) as by_status) as by_status,
       (select count(*) from leads where duplicate_of is null) as leads,
       (select count(*) from call_log
         where status in ('initiated', 'ringing', 'in-progress') and call_sid is null) as pending_without_call_sid,
       (select count(*) from call_log where status in ('queued', 'claimed')) as queue_len,
       (select coalesce(jsonb_object_agg(name, calls), '{}')
          from (select business.name, count(*) as calls
                  from call_log
                 inner join business on business.id = business_id
                 where status in ('claimed', 'initiated', 'ringing', 'in-progress')
                 group by business.name) as by_business) as live,
       (select count(*) from call_log
         where call_status_rank(status) < 5 or call_sid is not null and lead_id is null) as unsettled;

-- name: held(campaign_id)^
-- Returns  one row: how many calls the paused campaign has, how many of them nobody has taken yet, and whether all
--          others are through
select count(*) filter (where campaign_id = :campaign_id) as calls,
       count(*) filter (where campaign_id = :campaign_id and status = 'queued' and fence = 0) as untouched,
       coalesce(bool_and(call_status_rank(status) = 5 and (call_sid is null or lead_id is not null))
                    filter (where campaign_id is distinct from :campaign_id), true) as others_are_through
  from call_log;

-- name: every_call()
-- Returns  what the screen shows of each call.  `trace` is what was done about a fault, as the rows have it; NULL for a
--          call that had none.  In the order in which they last began or ended, newest first.
select call_log.id, status, call_status_rank(status) as rank, idempotency_key as story,
       case
           when status = 'queued' and put_backs = 0 then (select code from why_not_dialed(call_log.id))
       end as waits_for,
       case
           when put_backs > 0 then
               'put back ' || put_backs || case put_backs when 1 then ' time' else ' times' end
               || case when call_sid is null then ', waits' else ', then dialed' end
           when call_sid is null and looks > 0 and status = 'failed' then
               error_code || ' after ' || looks || ' look-ups'
           when call_sid is null and status = 'failed' then 'refused: ' || error_code || ', not repeated'
           when call_sid is null and status = 'initiated' and dialed_at < now() - interval '3 s' then
               'waits for its call_sid'
           when seen.looked_up and not seen.answered then 'looked up: found at the carrier'
           when seen.looked_up then 'looked up at the carrier'
           when not seen.answered then 'a callback brought the call_sid'
           when seen.overtaken then 'callback before the answer'
           when seen.disordered then 'callbacks put in order'
       end as trace
  from call_log
  left join lateral (
      select bool_or(source = 'create') as answered,
             bool_or(source = 'lookup') as looked_up,
             (array_agg(source order by id))[1] = 'callback' as overtaken,
             bool_or(disordered) as disordered
        from (select id, source,
                     source = 'callback'
                     and call_status_rank(status) < max(call_status_rank(status)) over (order by id) as disordered
                from call_event
               where call_id = call_log.id) as event
  ) as seen on true
 order by coalesce(ended_at, dialed_at) desc nulls last, call_log.id;
