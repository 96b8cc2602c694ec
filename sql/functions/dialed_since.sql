-- The calls of a business to a telephone that were dialed after this moment.
create or replace function dialed_since(business_id bigint, to_number text, since timestamptz) returns setof call_log
language sql stable
as $$
    select call_log.*
      from call_log
     where call_log.business_id = $1
       and phone_key(call_log.to_number) = phone_key($2)
       and direction = 'outbound'
       and dialed_at > $3
$$;
