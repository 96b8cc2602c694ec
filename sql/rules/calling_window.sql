-- calling_window.sql: when callees may be called, and whose calls keep to it.  Read by outbound/rules/calling_window.py alone.
-- The claim (call_windows, next_opening) reads these tables before each dial.  The statement that changes one writes
-- the audit too.

-- name: add_window(name, preset, hours, known_until, note, days, day_hours, day_notes, who)$
-- Returns  the id of the new window; fails where a window has that name already
with added as (
    insert into calling_window (name, preset, hours, known_until, note)
    values (:name, :preset, :hours::int4multirange, :known_until, :note)
    returning id, hours
), dated as (
    insert into calling_day (window_id, day, hours, note)
    select added.id, given.day, given.hours::int4multirange, given.note
      from added
     cross join unnest(:days::date[], :day_hours::text[], :day_notes::text[]) as given (day, hours, note)
), audited as (
    insert into audit (who, action, scope, key, details)
    select :who, 'add_window', 'window', id::text,
           jsonb_build_object('name', :name::text, 'preset', :preset::text, 'hours', hours::text,
                              'days', coalesce(cardinality(:days::date[]), 0))
      from added
)
select id from added;

-- name: find_window(name)$
-- Returns  the id of the window of this name, or nothing
select id from calling_window where name = :name;

-- name: find_preset(preset)^
-- Returns  the window of a preset, or else of its name: the id, name and hours of the oldest; or nothing
select id, name, hours
  from calling_window
 where preset = :preset or name = :preset
 order by preset is null, id
 limit 1;

-- name: is_window(window_id)$
-- Returns  is there such a window
select exists (select from calling_window where id = :window_id);

-- name: set_day(window_id, day, hours, note, who)$
-- Give one day hours of its own, none to close it; NULL makes it like its weekday again.
--
-- Returns  is it another than before; nothing where there is no such window
with found as (
    select id from calling_window where id = :window_id
), before as materialized (
    select hours from calling_day where window_id = :window_id and day = :day
), usual as (
    delete from calling_day using found
     where window_id = found.id and day = :day and :hours::text is null
), dated as (
    insert into calling_day (window_id, day, hours, note)
    select id, :day::date, :hours::int4multirange, :note from found where :hours::text is not null
    on conflict (window_id, day) do update set hours = excluded.hours, note = excluded.note
), audited as (
    insert into audit (who, action, scope, key, details)
    select :who, 'set_day', 'window', id::text, jsonb_build_object('day', :day::date, 'hours', :hours::text) from found
)
select ((select hours from before) is distinct from :hours::int4multirange) as is_another from found;

-- name: set_window(scope, id, window_id, who)$
-- Calls of this business, or of this campaign, keep to a window from their next claim on; to none where it is NULL.
--
-- Returns  is it another than before; nothing where there is no such business or campaign, or no such window
with found as (
    select :window_id::bigint as id
     where :window_id::bigint is null or exists (select from calling_window where id = :window_id)
), business_now as (
    select business.id, business.window_id as was
      from business cross join found
     where :scope = 'business' and business.id = :id
       for update of business
), campaign_now as (
    select campaign.id, campaign.window_id as was
      from campaign cross join found
     where :scope = 'campaign' and campaign.id = :id
       for update of campaign
), business_set as (
    update business set window_id = :window_id from business_now where business.id = business_now.id
), campaign_set as (
    update campaign set window_id = :window_id from campaign_now where campaign.id = campaign_now.id
), moved as (
    select * from business_now union all select * from campaign_now
), audited as (
    insert into audit (who, action, scope, key, details)
    select :who, 'set_window', :scope, id::text, jsonb_build_object('window_id', :window_id::bigint, 'was', was)
      from moved
)
select (was is distinct from :window_id::bigint) as is_another from moved;

-- name: extend_windows(preset, known_until, days, day_hours, day_notes, who)
-- Windows of a preset learn its days off up to a later day.  A day that is there keeps what it says: an operator's word
-- counts, and no day that was closed is opened.
--
-- Returns  the id and name of each window that learned something, and how many `days` are new
with wanted as (
    select id, name, known_until from calling_window where preset = :preset order by id for update
), dated as (
    insert into calling_day (window_id, day, hours, note)
    select wanted.id, given.day, given.hours::int4multirange, given.note
      from wanted
     cross join unnest(:days::date[], :day_hours::text[], :day_notes::text[]) as given (day, hours, note)
    on conflict (window_id, day) do nothing
    returning window_id
), learned as (
    select wanted.id, name, known_until < :known_until::date as is_longer,
           (select count(*) from dated where window_id = wanted.id) as days
      from wanted
), extended as (
    update calling_window
       set known_until = :known_until
      from learned
     where calling_window.id = learned.id and is_longer
), audited as (
    insert into audit (who, action, scope, key, details)
    select :who, 'refresh_window', 'window', id::text,
           jsonb_build_object('known_until', :known_until::date, 'days', days)
      from learned
     where is_longer or days > 0
)
select id, name, days from learned where is_longer or days > 0 order by id;

-- name: release_held_calls(window_ids, business_id, campaign_id)^
-- Calls that waited for a window that has changed are due at once: the claim checks it again.
--
-- Moves    queued, due at an opening -> queued, due now
-- Returns  how many `calls`
-- Races    a claim that holds a row is waited for
with scope as (
    select id as business_id, null::bigint as campaign_id
      from business
     where id = :business_id or window_id = any(:window_ids::bigint[])
    union all
    select business_id, id
      from campaign
     where id = :campaign_id or window_id = any(:window_ids::bigint[])
), waiting as (
    select call_log.id
      from call_log
     where call_log.direction = 'outbound'
       and call_log.status = 'queued'
       and call_log.held_by = 'outside_window'
       and exists (select from scope
                    where scope.business_id = call_log.business_id
                      and (scope.campaign_id is null or scope.campaign_id = call_log.campaign_id))
     order by call_log.id
       for update of call_log
), moved as (
    update call_log
       set due_at = now(), held_by = null
      from waiting
     where call_log.id = waiting.id and status = 'queued' and held_by = 'outside_window'
    returning call_log.id
), total as (
    select count(*) as calls from moved
)
select calls, case when calls > 0 then pg_notify('outbound_due', '') end as woken from total;

-- name: list_windows(window_id, business_id, with_keepers, before_id, page_max)
-- Returns  a page of the windows, the newest first, or one of them; of a business the common ones, and those that it or a
--          campaign of it keeps to; with_keepers, the ids of all who keep to each; all windows where page_max is NULL
with own as materialized (
    select window_id from business where id = :business_id::bigint and window_id is not null
    union
    select window_id from campaign where business_id = :business_id::bigint and window_id is not null
), page as (
    select *
      from calling_window
     where id between coalesce(:window_id::bigint, 0) and coalesce(:window_id::bigint, 9223372036854775807)
       and id < coalesce(:before_id::bigint, 9223372036854775807)
       and (:business_id::bigint is null or preset is not null or id in (select window_id from own))
     order by id desc
     limit :page_max::bigint
)
select id, name, preset, hours, known_until, note,
       (select count(*) from calling_day where window_id = page.id) as days,
       case
           when :with_keepers::boolean
               then array(select business.id from business where window_id = page.id order by 1)
       end as businesses,
       case
           when :with_keepers::boolean
               then array(select campaign.id from campaign where window_id = page.id order by 1)
       end as campaigns
  from page
 order by id desc;

-- name: list_days(window_id)
select day, hours, note from calling_day where window_id = :window_id order by day;

-- name: find_opening(window_id, zone, for_s)^
-- Returns  is this a zone, and when does the window open there next, or now; NULL where it does not within 15 days
select is_time_zone(:zone) as is_zone,
       case
           when is_time_zone(:zone)
               then next_opening(array[:window_id::bigint], array[:zone], now(), :for_s::float8)
       end as opens_at;
