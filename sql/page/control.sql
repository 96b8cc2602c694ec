-- control.sql: what the screen of control shows beside the API's answer.  Read by outbound/page/screens/control.py alone.

-- name: used_caps(business_id)
-- Returns  each cap of calls and minutes in an hour and a day, and what is used of it: of all, or of one business and its
--          campaigns
select cap_usage.scope, cap_usage.key, cap_usage.period, cap_usage.until, cap_usage.calls, cap_usage.calls_max,
       ceil(cap_usage.seconds / 60.0)::bigint as minutes, cap_usage.minutes_max
  from cap_usage
 where :business_id::bigint is null or scope_business(cap_usage.scope, cap_usage.key) = :business_id;

-- name: pauses(business_id, rows_max)
-- Returns  who paused a scope, and was it the breaker
select pause.scope, pause.key, pause.who, pause.is_breaker from page_pauses(:business_id, :rows_max) as pause;

-- name: paused_calls(business_id, rows_max)
-- Returns  the calls that are paused by themselves, the newest first
select id, paused_at, stop_reason
  from call_log
 where status = 'queued' and paused_at is not null and (:business_id::bigint is null or business_id = :business_id)
 order by id desc
 limit :rows_max;

-- name: count_in_the_air(scope, key, business_id)$
-- Returns  how many calls of a scope are being dialed, ring or are talked in: of all, or those of one business
select count(*)
  from call_log
 where status in ('initiated', 'ringing', 'in-progress')
   and direction = 'outbound'
   and in_scope(call_log, :scope, :key)
   and (:business_id::bigint is null or business_id = :business_id);

-- name: audit(business_id, who, action, scope, key, until, before_place, scan_max, rows_max)
-- Look through the audit from its newest entry on, or from before one place of the chain, at scan_max links at most.  With
-- `until` it begins near there: links are in the order of commits, an entry is as old as its transaction.  One business
-- is shown what its tokens did, and what others did to it, its campaigns, calls and endpoints: of these neither who it
-- was nor the details.  Changes of single rows by other programs are shown to who may see all businesses.
--
-- Returns  entries that fit, the newest first, rows_max at most; and one row more (`is_end`) with the last `place` that was
--          looked at, where links follow it
with later as (
    -- The oldest entry that is surely later: an hour is more than a transaction takes.
    (select 'audit' as source, id
       from audit
      where at >= :until::timestamptz + interval '1 hour' and not details ? 'erased' and action <> 'erase'
      order by at asc
      limit 1)
    union all
    (select 'audit_change', id
       from audit_change
      where at >= :until::timestamptz + interval '1 hour' and not details ? 'erased'
      order by at asc
      limit 1)
), bound as (
    select min(place) as place
      from later
     inner join audit_link on audit_link.source = later.source and audit_link.entry_id = later.id
), link as materialized (
    select place, source, entry_id
      from audit_link
     where place < least(coalesce(:before_place::bigint, 9223372036854775807), (select bound.place from bound))
     order by place desc
     limit :scan_max
), own as (
    select 'business' as scope, :business_id::text as key
    union all
    select 'campaign', id::text from campaign where business_id = :business_id::bigint
    union all
    select 'webhook_endpoint', id::text from webhook_endpoint where business_id = :business_id::bigint
), entry as materialized (
    select link.place, entry.*, :business_id::bigint is null or actor.is_own as is_whole
      from link
     inner join lateral (
           select at, who, action, scope, key, details
             from audit
            where link.source = 'audit' and id = link.entry_id
            union all
           select at, coalesce(who, os_user, db_user, ''), action, scope, key, details
             from audit_change
            where link.source = 'audit_change' and id = link.entry_id and :business_id::bigint is null
     ) as entry on true
     cross join lateral (
           select exists (select
                            from api_token
                           where business_id = :business_id::bigint
                             and entry.who like 'token %'
                             and right(entry.who, 10) = '(' || public_id || ')') as is_own
     ) as actor
     where (:who::text is null
            or (strpos(lower(entry.who), lower(:who)) > 0 and (:business_id::bigint is null or actor.is_own)))
       and (:action::text is null or entry.action = :action)
       and (:scope::text is null or entry.scope = :scope)
       and (:key::text is null or entry.key = :key)
       and (:until::timestamptz is null or entry.at < :until)
       and (:business_id::bigint is null
            or actor.is_own
            or (entry.scope, entry.key) in (select scope, key from own)
            or (entry.scope = 'call'
                and exists (select
                              from call_log
                             where id = case when entry.key ~ '^[0-9]{1,18}$' then entry.key::bigint end
                               and business_id = :business_id::bigint)))
     order by link.place desc
     limit :rows_max
), last as (
    -- A full page ends at its last entry; what was looked at behind it is looked at again.
    select case
               when (select count(*) from entry) = :rows_max then (select min(place) from entry)
               else (select min(place) from link)
           end as place
)
select place, at, case when is_whole then who end as who, action, scope, key,
       case when is_whole then details end as details, false as is_end
  from entry
union all
select last.place, null, null, null, null, null, null, true
  from last
 where exists (select from audit_link where audit_link.place < last.place)
 order by is_end asc, place desc;
