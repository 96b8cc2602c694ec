-- The calls of a telephone: outbound ones that are live, were dialed or never were, and inbound ones.
create or replace function calls_of_telephone(number text, scan_max integer) returns setof call_log
language sql stable
as $$
    select call_log.*
      from business
     cross join lateral (
           select * from live_call(business.id, $1)
            union all
           (select call_log.*
              from call_log
             where call_log.business_id = business.id
               and phone_key(call_log.to_number) = phone_key($1)
               and call_log.direction = 'outbound'
               and call_log.dialed_at is not null
               and call_log.status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
             order by call_log.dialed_at desc
             limit scan_max)
     ) as call_log
     union all
    (select call_log.*
       from call_log
      where phone_key(call_log.to_number) = phone_key($1)
        and call_log.direction = 'outbound'
        and call_log.dialed_at is null
        and call_log.status in ('completed', 'busy', 'no-answer', 'failed', 'canceled')
      limit scan_max)
     union all
    (select call_log.*
       from call_log
      where phone_key(call_log.from_number) = phone_key($1) and call_log.direction = 'inbound'
      limit scan_max)
$$;
