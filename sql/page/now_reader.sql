-- now_reader.sql: the queue at this moment, for the page.  Read by outbound/page/now_reader.py alone.

-- name: read_now(business_ids, call_ids, campaign_ids, secrets_sha256, counted_max, rows_max, worker_silent_s, scheduler_silent_s)
-- What goes on in all businesses (id 0) and in some of them, each as one JSON object, the versions of some calls and
-- campaigns, and which sessions are signed in, in one statement: all that open pages watch.
--
-- Of what waits, counted_max calls are counted at most; of what has ended, those of the last hour.  The cost grows
-- with the lanes, the live calls and the calls of the last hour.
--
-- Returns  (kind, id, found): kind is now, call, campaign or session
with own as materialized (
    select id, nullif(id, 0) as in_business from unnest(:business_ids::bigint[]) as id
), common as materialized (
    select (select coalesce(jsonb_agg(to_jsonb(blocker) order by blocker.place), '[]')
              from dialing_blockers(:worker_silent_s, :scheduler_silent_s) as blocker) as blockers,
           (select coalesce(sum(threads), 0)
              from worker
             where seen_at > now() - make_interval(secs => :worker_silent_s)) as threads
)
select 'now' as kind, own.id,
       jsonb_build_object(
           'at', now(),
           'zone', coalesce((select time_zone from business where id = in_business),
                            (select mode() within group (order by time_zone) from business), 'UTC'),
           'blockers', common.blockers,
           'threads', common.threads,
           'live', to_jsonb(live),
           'live_max', (select live_max
                          from dial_control
                         where scope = case when own.id = 0 then 'account' else 'business' end
                           and key = case when own.id = 0 then '' else own.id::text end),
           'queue', to_jsonb(queue),
           'unknown', (select count(*)
                         from (select
                                 from call_log
                                where status = 'failed'
                                  and (error_code = 'no_call_sid' and overdue_at is not null
                                       or error_code = 'several_candidates')
                                  and (in_business is null or business_id = in_business)
                                limit :counted_max) as doubtful),
           'webhooks_off', (select count(*)
                              from webhook_endpoint
                             where state = 'off' and (in_business is null or business_id = in_business)),
           'pauses', (select coalesce(jsonb_agg(to_jsonb(pause)), '[]')
                        from page_pauses(in_business, :rows_max) as pause),
           'campaigns', (select coalesce(jsonb_agg(to_jsonb(campaign)), '[]')
                           from page_campaigns(in_business, :rows_max, :counted_max) as campaign),
           'latest', (select coalesce(jsonb_agg(to_jsonb(latest)), '[]')
                        from page_latest(in_business, :rows_max) as latest),
           'minutes', (select coalesce(jsonb_agg(to_jsonb(one)), '[]')
                         from page_minutes(in_business) as one)
       ) as found
  from own
 cross join common
 cross join lateral page_live(in_business) as live
 cross join lateral page_queue(in_business, :counted_max) as queue
 union all
select kind, id, to_jsonb(version) from page_versions(:call_ids, :campaign_ids)
 union all
select 'session', id, to_jsonb(one) from page_sessions(:secrets_sha256::bytea[]) as one;
