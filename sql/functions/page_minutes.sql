-- The calls that ended in the last hour, of a business or (null) of all, by how many minutes ago: each with its number,
-- how many were answered and how many failed.
create or replace function page_minutes(in_business bigint)
returns table (minutes_ago integer, ended bigint, answered bigint, failed bigint)
language sql stable
as $$
    select floor(extract(epoch from now() - ended_at) / 60)::integer, count(*),
           count(*) filter (where answered_at is not null), count(*) filter (where status = 'failed')
      from call_log
     where ended_at > now() - interval '1 hour'
       and ended_at <= now()
       and direction = 'outbound'
       and dialed_at is not null
       and (in_business is null or business_id = in_business)
     group by 1
     order by 1
$$;
