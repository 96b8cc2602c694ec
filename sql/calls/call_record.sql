-- call_record.sql: what an application reads of one call.  Read by outbound/calls/call_record.py alone.

-- name: find_call(call_id, business_id, key)^
-- Returns  the call of this id, or the one that has this key in the business, or nothing; moments as ISO 8601
select id as call_id, business_id, campaign_id, to_number, from_number, status, idempotency_key as key, attempt,
       retry_of, to_json(due_at) #>> '{}' as due_at, to_json(dialed_at) #>> '{}' as dialed_at,
       to_json(answered_at) #>> '{}' as answered_at, to_json(ended_at) #>> '{}' as ended_at, duration_s, answered_by,
       call_sid, error_code::text as error_code, error_message, lead_id
  from call_log
 where direction = 'outbound'
   and id = coalesce(:call_id::bigint, (select keyed.id
                                          from call_log as keyed
                                         where keyed.business_id = :business_id::bigint
                                           and keyed.idempotency_key = :key::text));
