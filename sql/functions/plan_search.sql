-- Plans a search for find_calls: which index leads it, whether the calls that this finds must be looked at one by one
-- (`is_picky`), and between which moments it looks.  No row where this role may not search by a number.
create or replace function plan_search(
    with_number text, in_business bigint, in_campaign bigint, with_error text, with_answerer text, in_batch bigint,
    since timestamptz, until timestamptz, before_at timestamptz, before_id bigint, scan_max integer
) returns table (lead text, is_picky boolean, from_at timestamptz, last_at timestamptz, last_id bigint)
language sql stable rows 1
as $$
    with batch as materialized (
        -- One that is too large to be sorted is looked for among the others.
        select count(*) > scan_max as is_large
          from (select from call_log where batch_id = in_batch and retry_of is null
                union all
                select from call_log where batch_id = in_batch and retry_of is not null
                limit scan_max + 1) as first
         where in_batch is not null
    ), asked as materialized (
        select case
                   when with_number is not null then 'number'
                   when in_batch is not null and not is_large then 'batch'
                   when with_error is not null then 'error'
                   when in_campaign is not null then 'campaign'
                   else 'business'
               end as lead,
               coalesce(in_batch is not null and is_large, false) as is_in_large_batch
          from (values (null)) as one
          left join batch on true
         where with_number is null or has_column_privilege(session_user, 'call_log', 'to_number', 'select')
    )
    select asked.lead,
           is_in_large_batch
           or asked.lead in ('error', 'campaign', 'business') and with_answerer is not null
           or asked.lead = 'error' and in_campaign is not null,
           coalesce(since, '-infinity'),
           -- One bound, at which a scan of an index begins; of two, one would only be a filter.
           least(before_at, until, 'infinity'),
           case when before_at < coalesce(until, 'infinity') then before_id else 0 end
      from asked
$$;
