-- The calls that a search looks at all together, as they are few however long the history is: held one by one and in the
-- air, or those of a telephone or a batch where that leads (plan_search).
create or replace function few_calls(
    lead text, with_number text, in_business bigint, with_error text, in_batch bigint, scan_max integer
) returns setof call_log
language sql stable
as $$
    select call_log.*
      from call_log
     where call_log.status = 'queued' and call_log.paused_at is not null and lead not in ('number', 'batch')
     union all
    select call_log.*
      from call_log
     where call_log.status in ('claimed', 'initiated', 'ringing', 'in-progress') and lead not in ('number', 'batch')
     union all
    -- What waits after an error of its own; by the index of errors, and not by that of the lanes.
    select call_log.*
      from (select queued.*
              from asked_businesses(in_business) as business
             cross join lateral (
                   select call_log.*
                     from call_log
                    where call_log.business_id = business.id
                      and call_log.error_code = with_error
                      and call_log.status = 'queued'
                      and coalesce(call_log.ended_at, call_log.created_at) is not null
                    limit scan_max
             ) as queued
             where lead = 'error'
             limit scan_max) as call_log
     where call_log.paused_at is null
     union all
    select call_log.* from calls_of_telephone(with_number, scan_max) as call_log where lead = 'number'
     union all
    select call_log.*
      from call_log
     where call_log.batch_id = in_batch and call_log.retry_of is null and lead = 'batch'
     union all
    select call_log.*
      from call_log
     where call_log.batch_id = in_batch and call_log.retry_of is not null and lead = 'batch'
$$;
