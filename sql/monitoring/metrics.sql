-- metrics.sql: what the queue looks like right now.  Read by outbound/monitoring/metrics.py alone.
--
-- Each returns (name, label, value); label is NULL where a metric has none, and two labels stand with a space between.
-- Each is bounded: live and waiting rows are read through their partial indexes, each once, totals from their counters,
-- history not at all.  No number of a telephone leaves here: scopes of that kind are only counted.

-- name: read_queue(worker_silent_s, rows_max)
-- The calls that wait, are live or are overdue, and the threads that dial; of rows_max businesses each by itself.
with live as materialized (
    select status, business_id, count(*) as calls, count(*) filter (where call_sid is null) as unbound
      from call_log
     where status in ('claimed', 'initiated', 'ringing', 'in-progress')
     group by status, business_id
), waiting as materialized (
    select * from queue_load
), overdue as (
    select rule, count(*) as calls, min(overdue_at) as oldest_at from stale_calls group by rule
), load as (
    select business_id::text as id, sum(live) as live, sum(due) as due, sum(queued) as queued,
           greatest(0, extract(epoch from now() - min(oldest_due_at))) as oldest_due_seconds
      from (select business_id, 0 as live, case when state = 'due' then calls else 0 end as due, calls as queued,
                   case when state = 'due' then first_due_at end as oldest_due_at
              from waiting
             where state <> 'call_paused'
            union all
            select business_id, calls, 0, 0, null from live) as loads
     group by business_id
     order by sum(live) + sum(due) desc, sum(queued) desc, business_id asc
     limit :rows_max
)
select 'calls' as name, known.status as label, coalesce(sum(calls), 0)::float8 as value
  from (values ('claimed'), ('initiated'), ('ringing'), ('in-progress')) as known (status)
  left join live on live.status = known.status
 group by known.status
union all
select 'calls', 'queued', coalesce(sum(calls), 0) from waiting
union all
select 'due', null, coalesce(sum(calls), 0) from waiting where state = 'due'
union all
select 'withheld', known.state, coalesce(sum(calls), 0)
  from (values ('paused'), ('campaign_not_started'), ('spend_cap')) as known (state)
  left join waiting on waiting.state = known.state
 group by known.state
union all
select 'oldest_due_seconds', null, greatest(0, coalesce(extract(epoch from now() - min(first_due_at)), 0))
  from waiting
 where state = 'due'
union all
select measured.name, rule.rule, measured.value
  from (values ('claimed'), ('no_call_sid'), ('silent'), ('no_lead')) as rule (rule)
  left join overdue on overdue.rule = rule.rule
 cross join lateral (
       values ('stale', coalesce(calls, 0)),
              ('oldest_stale_seconds', coalesce(extract(epoch from now() - oldest_at), 0))
 ) as measured (name, value)
union all
select 'pending_without_call_sid', null, coalesce(sum(unbound), 0) from live where status <> 'claimed'
union all
select 'worker_threads', null, coalesce(sum(threads), 0)
  from worker
 where seen_at > now() - make_interval(secs => :worker_silent_s)
union all
select measured.name, id, measured.value
  from load
 cross join lateral (
       values ('business_live', live), ('business_due', due), ('business_queued', queued),
              ('business_oldest_due_seconds', coalesce(oldest_due_seconds, 0))
 ) as measured (name, value);

-- name: read_scopes(account_rate, rows_max)
-- Limits and pauses: how many of each kind, and of rows_max scopes what is used of them.
with asked as (
    select array_agg(own.scope) as scopes, array_agg(own.key) as keys
      from (select ruled.scope, ruled.key from ruled_scopes() as ruled
            union
            select 'account', ''
            union
            select 'business', business.id::text
              from business
             where business.carrier_account is not null and :account_rate::float8 is not null) as own
), scope as materialized (
    select scoped.*,
           -- As many refusals in a row are what the breaker pauses for (record_refusal in dial.sql).
           case when scoped.state <> 'running' and scoped.refused >= 5 then 'breaker' else 'operator' end as paused_by
      from asked
     cross join lateral room_of_scopes(asked.scopes, asked.keys, :account_rate) as scoped
), limited as (
    select scope || ' ' || key as label, limit_rate, rate, live_max, live
      from scope
     where scope <> 'number'
       and key ~ '^[0-9]*$'
       and (rate is not null or live_max is not null)
     order by scope asc, live desc, key asc  -- the account comes first
     limit :rows_max
)
select measured.name, label, measured.value::float8 as value
  from limited
 cross join lateral (
       values ('limit_calls_per_second', limit_rate), ('pace_calls_per_second', rate),
              ('limit_live', live_max), ('limited_live', case when live_max is not null then live end)
 ) as measured (name, value)
 where measured.value is not null
union all
select 'limited_scopes', known.scope, count(scope.scope)
  from (values ('account'), ('business'), ('campaign'), ('number')) as known (scope)
  left join scope on scope.scope = known.scope and (limit_rate is not null or live_max is not null)
 group by known.scope
union all
select 'paused_scopes', known.scope || ' ' || paused_by.paused_by, count(scope.scope)
  from (values ('account'), ('business'), ('campaign'), ('number')) as known (scope)
 cross join (values ('operator'), ('breaker')) as paused_by (paused_by)
  left join scope
    on scope.scope = known.scope and scope.paused_by = paused_by.paused_by and scope.state <> 'running'
 group by known.scope, paused_by.paused_by
union all
select 'capped_scopes', known.scope, count(scope.scope)
  from (values ('account'), ('business'), ('campaign')) as known (scope)
  left join scope on scope.scope = known.scope and spend_code is not null
 group by known.scope
union all
select 'carrier_hold', null, least(1, count(*)) from scope where carrier_hold_until > now();

-- name: read_spending(rows_max)
-- What rows_max businesses have called today, beside what is usual, and in which countries they are new.
with today as materialized (
    -- Those that call most, and how much of it is usual: the mean of the seven days before.
    select busiest.key, busiest.calls,
           (select coalesce(sum(before.calls), 0) / 7.0
              from spend as before
             where before.scope = 'business'
               and before.key = busiest.key
               and before.period = 'day'
               and before.began_at between busiest.began_at - interval '7 days 2 hours'
                                       and busiest.began_at - interval '1 hour') as usual
      from (select spend.key, spend.calls, spend.began_at
              from spend
             inner join business on spend.scope = 'business' and business.id::text = spend.key
             where spend.period = 'day'
               and spend.began_at > now() - interval '26 hours'
               and spend.began_at = period_start('day', now(), business.time_zone)
             order by spend.calls desc, spend.key asc
             limit :rows_max) as busiest
), new_country as (
    select business_id::text as id, count(*) as countries
      from country_called
     where first_at > now() - interval '1 hour'
     group by business_id
     order by count(*) desc, business_id asc
     limit :rows_max
)
select measured.name, key as label, measured.value::float8 as value
  from today
 cross join lateral (
       values ('business_calls_today', calls), ('business_calls_usual', usual)
 ) as measured (name, value)
union all
select 'new_countries', id, countries from new_country;

-- name: read_webhooks()
-- What waits for the endpoints that are on, 10,000 deliveries at most, and how many endpoints failures switched off: one
-- that an operator switched off has no failures.
--
-- The oldest one is looked for at endpoints that take what they are sent: at one that fails, waiting is its own fault.
with endpoint as materialized (
    select id, state, failing_since from webhook_endpoint
), waiting as (
    select
      from endpoint
     cross join lateral (
           (select
              from webhook_delivery
             where endpoint_id = endpoint.id and webhook_delivery.state = 'due' and due_at <= now()
             limit 10000)
            union all
           (select
              from webhook_delivery
             where endpoint_id = endpoint.id and webhook_delivery.state in ('claimed', 'sending')
             limit 10000)
     ) as each_of_them
     where endpoint.state = 'on'
     limit 10000
), oldest as (
    select min(first.due_at) as due_at
      from endpoint
     cross join lateral (
           (select due_at
              from webhook_delivery
             where endpoint_id = endpoint.id and webhook_delivery.state = 'due' and due_at <= now()
             order by due_at
             limit 1)
            union all
           (select min(due_at)
              from webhook_delivery
             where endpoint_id = endpoint.id and webhook_delivery.state in ('claimed', 'sending'))
     ) as first
     where endpoint.state = 'on' and endpoint.failing_since is null
)
select 'webhook_due' as name, null::text as label, count(*)::float8 as value from waiting
union all
select 'webhook_oldest_due_seconds', null, greatest(0, coalesce(extract(epoch from now() - due_at), 0)) from oldest
union all
select 'webhook_endpoints_off', null, count(*) from endpoint where state = 'off' and failing_since is not null;

-- name: read_totals()
-- What keeps PostgreSQL from cleaning up, what stops all dialing, when each task was last done, and all counters.
with snapshot as materialized (
    -- What keeps VACUUM from taking away rows that are dead since then.  Sessions of other roles are seen by a member
    -- of pg_read_all_stats; how long a slot has been idle, by PostgreSQL 17 and newer.
    select 'session' as holder, xact_start as since, age(coalesce(backend_xmin, backend_xid)) as transactions
      from pg_stat_activity
     where coalesce(backend_xmin, backend_xid) is not null
       and pid <> pg_backend_pid()
       and backend_type is distinct from 'autovacuum worker'
       and coalesce(datname = current_database(), true)
    union all
    select 'prepared', prepared, age(transaction) from pg_prepared_xacts where database = current_database()
    union all
    select 'slot', (to_jsonb(slot) ->> 'inactive_since')::timestamptz, age(xmin)
      from pg_replication_slots as slot
     where xmin is not null
)
select measured.name, known.holder as label, coalesce(max(measured.value), 0)::float8 as value
  from (values ('session'), ('prepared'), ('slot')) as known (holder)
  left join snapshot on snapshot.holder = known.holder
 cross join lateral (
       values ('snapshot_seconds', greatest(0, extract(epoch from now() - since))),
              ('snapshot_transactions', transactions)
 ) as measured (name, value)
 group by measured.name, known.holder
union all
select 'dialing_stopped', known.cause, count(dialing_stop.cause)
  from (values ('broker'), ('recovery')) as known (cause)
  left join dialing_stop on dialing_stop.cause = known.cause
 group by known.cause
union all
select 'old_table_writes_due', null, count(*) from (select from bridge_due limit 10000) as waiting_there
union all
select 'task', name, extract(epoch from last_success_at) from duty
union all
select name, label, sum(value) from counter group by name, label;
