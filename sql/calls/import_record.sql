-- import_record.sql: how each import of a file goes and went.  Read by outbound/calls/import_record.py alone.

-- name: begin_import(business_id, campaign_id, batch, who)$
-- Moves    (nothing) -> running
-- Returns  its id
insert into call_import (business_id, campaign_id, batch, created_by)
select coalesce((select id from business where id = :business_id), campaign.business_id), campaign.id, :batch, :who
  from (values (null)) as one
  left join campaign on campaign.id = :campaign_id
returning id;

-- name: note_progress(id, received_bytes, created, already_there, duplicates, rejected, called_lately)!
-- How far an import has come, and that its process is alive.
update call_import
   set seen_at = now(), received_bytes = greatest(received_bytes, :received_bytes), created = :created,
       already_there = :already_there, duplicates = :duplicates, rejected = :rejected, called_lately = :called_lately
 where id = :id and state = 'running';

-- name: end_import(id, state, reason, received_bytes, created, already_there, duplicates, rejected, called_lately, rejected_lines, report)!
-- Moves    running -> finished, broken_off or refused
-- Races    of two ends the first stays
update call_import
   set state = :state, reason = :reason, seen_at = now(), finished_at = now(),
       received_bytes = greatest(received_bytes, :received_bytes), created = :created,
       already_there = :already_there, duplicates = :duplicates, rejected = :rejected, called_lately = :called_lately,
       rejected_lines = :rejected_lines, report = :report
 where id = :id and state = 'running';

-- name: forget_import(id)!
-- Delete the row of an import whose file is refused in the answer to its upload: it changed nothing.
--
-- Moves    running -> (nothing)
delete from call_import where id = :id and state = 'running';

-- name: find_imports(id, business_id, campaign_id, states, before_id, page_max, silent_s)
-- Find imports, the newest first, or the one with an id.
--
-- Returns  of each its columns, `rejected_lines` and `report` of one with an id alone; `state` is interrupted where its process
--          has written nothing for `silent_s`
with place as materialized (
    select coalesce(:id::bigint, 0) as first_id,
           coalesce(:id::bigint, :before_id::bigint - 1, 9223372036854775807) as last_id,
           now() - make_interval(secs => :silent_s) as silent_since
), page as (
    (select call_import.*, now_it_is.state as shown
       from call_import
      cross join lateral (
            select case
                       when state = 'running' and seen_at < (select silent_since from place) then 'interrupted'
                       else state
                   end as state
      ) as now_it_is
      where :business_id::bigint is null
        and id >= (select first_id from place)
        and id <= (select last_id from place)
        and (:campaign_id::bigint is null or campaign_id = :campaign_id)
        and (:states::text[] is null or now_it_is.state = any(:states::text[]))
      order by id desc
      limit :page_max)
    union all
    -- Between two places of the business's own index, which no other index can lead to.
    (select call_import.*, now_it_is.state as shown
       from call_import
      cross join lateral (
            select case
                       when state = 'running' and seen_at < (select silent_since from place) then 'interrupted'
                       else state
                   end as state
      ) as now_it_is
      where :business_id::bigint is not null
        and (business_id, id) >= (:business_id, (select first_id from place))
        and (business_id, id) <= (:business_id, (select last_id from place))
        and (:campaign_id::bigint is null or campaign_id = :campaign_id)
        and (:states::text[] is null or now_it_is.state = any(:states::text[]))
      order by business_id desc, id desc
      limit :page_max)
)
select id, business_id, campaign_id, batch, shown as state, received_bytes, created, already_there, duplicates,
       rejected, called_lately, case when id = :id::bigint then rejected_lines end as rejected_lines,
       case when id = :id::bigint then report end as report, reason, created_by, started_at, seen_at, finished_at
  from page
 order by id desc;
