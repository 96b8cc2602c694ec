-- reason.sql: why one call is not being dialed.  Read by outbound/calls/reason.py alone.

-- name: why_by_default(call_id)^
-- why_not_dialed for who has none of our settings.
--
-- Returns  one row, also for a call that does not exist: `unknown_call`; `until` as ISO 8601, `details` as JSON
with own as (
    select code, sentence, until, details from why_not_dialed(:call_id::bigint)
), stop as (
    select 'stopped_' || cause as code, reason || ' Nothing is dialed since ' || moment_text(since) || '.' as sentence,
           null::timestamptz as until, jsonb_build_object('since', since) as details
      from dialing_stop
     where (select code from own) not in ('unknown_call', 'ended', 'in_the_air', 'claimed')
     order by cause desc
     limit 1
)
select code, sentence, to_json(until) #>> '{}' as until, details::text as details
  from (select * from stop union all select * from own where not exists (select from stop)) as reason;
