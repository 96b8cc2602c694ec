-- call_search.sql: calls that somebody looks for, and what is done to those that were found.  Read by outbound/calls/call_search.py alone.
-- A role that sees no phone number may ask too (the reader of roles.sql): what holds numbers or words is asked for apart.

-- name: find_calls(number, business_id, campaign_id, statuses, error_code, answered_by, batch_id, since, until, before_at, before_id, page_max, scan_max)
-- A page of calls, newest first; see find_calls in the migrations.
--
-- Returns  a row per call, with `sees_numbers`: may this role ask for words_of_calls; and where the search was cut short, one
--          without an `id` that says where: `at`, `cut_id`
select found.at, found.cut_id, (select has_column_privilege('call_log', 'to_number', 'select')) as sees_numbers,
       call_log.id, call_log.business_id, business.name as business, call_log.campaign_id,
       campaign.name as campaign, call_log.direction, call_log.status, call_log.call_sid, call_log.attempt,
       call_log.retry_of, call_log.created_at, call_log.due_at, call_log.dialed_at, call_log.answered_at,
       call_log.ended_at, call_log.duration_s, call_log.answered_by, call_log.error_code, call_log.held_by,
       call_log.paused_at, call_log.hang_up, call_log.lead_id, business.time_zone
  from find_calls(:number, :business_id, :campaign_id, :statuses, :error_code, :answered_by, :batch_id, :since, :until,
                  :before_at, :before_id, :page_max, :scan_max) as found
  left join lateral (
       -- One look by the key each, whatever the planner takes the table's size for.
       select id, business_id, campaign_id, direction, status, call_sid, attempt, retry_of, created_at, due_at,
              dialed_at, answered_at, ended_at, duration_s, answered_by, error_code, held_by, paused_at, hang_up,
              lead_id
         from call_log
        where id = found.id
        limit 1
  ) as call_log on true
  left join business on business.id = call_log.business_id
  left join campaign on campaign.id = call_log.campaign_id
 order by found.at desc, found.id desc nulls last;

-- name: lines_of_calls(number, business_id, campaign_id, statuses, error_code, answered_by, batch_id, since, until, before_at, before_id, page_max, scan_max, as_cells)^
-- The page that find_calls gives, for an export: PostgreSQL writes the JSON, in a third of the time that we would take,
-- and all of it is one value, as to read a row of the answer takes us longer than to pass its line on.
-- For roles that see phone numbers.
--
-- Returns  `lines`: one per call, an object or, with as_cells, an array of the texts of a sheet, whose moments have whole
--          seconds; how many; the first and the last of them; where the search was cut short, `cut_at` and `cut_id`
select string_agg(call_log.line || e'\n', '' order by found.at desc, found.id desc) as lines,
       count(found.id) as calls,
       max(found.at) filter (where found.id is not null) as first_at,
       min(found.at) filter (where found.id is not null) as last_at,
       (array_agg(found.id order by found.at desc, found.id desc) filter (where found.id is not null))[
           count(found.id)] as last_id,
       max(found.at) filter (where found.id is null) as cut_at,
       max(found.cut_id) as cut_id
  from find_calls(:number, :business_id, :campaign_id, :statuses, :error_code, :answered_by, :batch_id, :since, :until,
                  :before_at, :before_id, :page_max, :scan_max) as found
  left join lateral (
       select case
                  when not :as_cells::boolean then row_to_json(shown)::text
                  else array_to_json(array[
                      id::text, business_id::text, campaign_id::text, direction, from_number, to_number, status,
                      to_char(created_at, 'YYYY-MM-DD"T"HH24:MI:SSTZH:TZM'),
                      to_char(due_at, 'YYYY-MM-DD"T"HH24:MI:SSTZH:TZM'),
                      to_char(dialed_at, 'YYYY-MM-DD"T"HH24:MI:SSTZH:TZM'),
                      to_char(answered_at, 'YYYY-MM-DD"T"HH24:MI:SSTZH:TZM'),
                      to_char(ended_at, 'YYYY-MM-DD"T"HH24:MI:SSTZH:TZM'),
                      duration_s::text, answered_by, error_code, attempt::text, retry_of::text, call_sid, key, batch,
                      lead_id::text
                  ])::text
              end as line
         from (
              select id, business_id, campaign_id, direction, from_number, to_number, status, created_at, due_at,
                     dialed_at, answered_at, ended_at, duration_s, answered_by, error_code, attempt, retry_of, call_sid,
                     idempotency_key as key, (select name from batch where batch.id = batch_id) as batch, lead_id
                from call_log
               where id = found.id
               limit 1
         ) as shown
  ) as call_log on true;

-- name: words_of_calls(call_ids)
-- Returns  what of these calls not every role may see
select call_log.id, from_number, to_number,
       case when direction = 'inbound' then from_number else to_number end as number,
       idempotency_key as key, error_message, created_by, stopped_by, stop_reason, batch.name as batch
  from call_log
  left join batch on batch.id = call_log.batch_id
 where call_log.id = any(:call_ids::bigint[]);

-- name: zones(business_id)
-- Returns  by which clocks the businesses live, or one of them
select distinct time_zone from business where :business_id::bigint is null or id = :business_id;

-- name: newest_id()$
select coalesce(max(id), 0) from call_log;

-- name: cancel_waiting(call_ids, id_max, reason, who)$
-- Close those of these calls that nobody has begun to dial (cancel_waiting_calls).
--
-- Moves    queued, claimed -> canceled
-- Returns  how many
-- Races    a worker that begins to dial first wins: its row is no longer 'claimed', and end_ringing has it
select cancel_waiting_calls(array(select id from unnest(:call_ids::bigint[]) as id where id <= :id_max), :reason, :who);

-- name: end_ringing(call_ids, id_max, reason, who)$
-- Mark for a hang-up at the carrier those of these calls that it has and nobody answered.
--
-- Moves    nothing: the carrier's word does
-- Returns  how many were not asked for before
-- Races    one that is answered meanwhile is left alone (hang_up.sql)
with live as (
    select id
      from call_log
     where id = any(:call_ids::bigint[])
       and id <= :id_max
       and status in ('initiated', 'ringing')
       and hang_up is null
       and direction = 'outbound'
     order by id
       for update
), moved as (
    update call_log
       set hang_up = 'canceled', hang_up_asked_at = null, stopped_by = :who, stop_reason = :reason
      from live
     where call_log.id = live.id and status in ('initiated', 'ringing') and hang_up is null
    returning call_log.id
)
select count(*) from moved;

-- name: write_audit(who, scope, key, details)!
-- Record who canceled calls, which and why, in the transaction that begins it.
insert into audit (who, action, scope, key, details) values (:who, 'cancel', :scope, :key, :details);
