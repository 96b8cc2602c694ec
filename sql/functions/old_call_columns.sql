-- The columns of the old call_log that a call of ours fills, each with its value out of a row of old_calls_to_write, `call`.
create or replace function old_call_columns(old_schema text) returns table (name text, value text)
language sql stable
as $$
    select filled.*
      from (select format('%I.leads', old_schema) as leads,
                   format('%I.outbound_call_jobs', old_schema) as jobs) as old
     cross join lateral bridge_columns(old_schema, 'call_log', array[
        ['call.old_business_id', 'business_id', 'tenant_id'],
        ['call.call_sid', 'call_sid', ''],
        ['call.from_number', 'from_number', ''],
        ['call.to_number', 'to_number', ''],
        ['call.direction', 'direction', ''],
        ['case call.direction when ''outbound'' then ''outbound-api'' else call.direction end', 'twilio_direction', ''],
        ['call.word', 'status', ''],
        ['call.call_status', 'call_status', ''],
        ['call.duration_s', 'duration', 'duration_s'],
        ['call.customer_name', 'customer_name', ''],
        ['call.error_code', 'error_code', ''],
        ['call.error_message', 'error_message', ''],
        ['call.began_at', 'created_at', ''],
        ['now()', 'updated_at', ''],
        [format('coalesce(%s, %s)',
                case
                    when to_regclass(old.jobs) is not null
                        then format('(select o.lead_id from %s as o where o.id = call.job_id)', old.jobs)
                    else 'null'
                end,
                case
                    when to_regclass(old.leads) is not null
                        then format('(select max(o.id) from %s as o inner join %s.adopted on adopted.old_id = o.id'
                                    ' where adopted.kind = ''lead'' and adopted.new_id = call.lead_id)', old.leads,
                                    quote_ident(current_schema()))
                    else 'null'
                end), 'lead_id', '']]) as filled
$$;
