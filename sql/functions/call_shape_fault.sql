-- Why a JSON value is no call that can be read, in a sentence; NULL where its fields are known and of the right
-- types.
create or replace function call_shape_fault(call jsonb) returns text
language sql immutable parallel safe
as $$
    select case
               when jsonb_typeof($1) is distinct from 'object'
                   then 'a call is a JSON object, like {"business_id": 1, "to_number": "+97231234567"}'
               else (select case
                                when field.key not in ('to_number', 'business_id', 'campaign_id', 'from_number',
                                                       'due_at', 'key', 'contact', 'time_zone')
                                    then format('a call has no field %L: there are to_number, business_id, campaign_id,'
                                                ' from_number, due_at, key, contact, time_zone', left(field.key, 50))
                                when field.key in ('business_id', 'campaign_id')
                                    then format('`%s` must be the id of one, a whole number: see `outbound %s list`',
                                                field.key, left(field.key, -3))
                                when field.key = 'contact' then '`contact` must be an object with a text for each name'
                                else format('`%s` must be text', field.key)
                            end
                       from jsonb_each(case when jsonb_typeof($1) = 'object' then $1 else '{}' end) as field
                      where field.value <> 'null'
                        and case
                                when field.key in ('business_id', 'campaign_id')
                                    then field.value::text !~ '^[0-9]{1,18}$'
                                when field.key = 'contact' then jsonb_typeof(field.value) <> 'object'
                                when field.key in ('to_number', 'from_number', 'due_at', 'key', 'time_zone')
                                    then jsonb_typeof(field.value) <> 'string'
                                else true
                            end
                      order by field.key
                      limit 1)
           end
$$;
