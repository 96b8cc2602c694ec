-- The views by which everything else reads the old tables: the same columns in each old system.
create or replace function make_old_views(old_schema text) returns void
language plpgsql
as $$
begin
    perform make_old_view('old_business', old_schema, 'business', array[
        ['id', 'bigint', 'id', '', '', ''],
        ['name', 'text', 'name', '', '', ''],
        ['phone', 'text', 'phone_number', 'phone_e164', 'phone', ''],
        ['time_zone', 'text', 'timezone', 'time_zone', '', ''],
        ['hours', 'text', 'working_hours', 'business_hours', '', ''],
        ['days', 'text', 'working_days', 'business_days', '', ''],
        ['is_active', 'boolean', 'is_active', 'active', '', '']]);
    perform make_old_view('old_settings', old_schema, 'business_settings', array[
        ['business_id', 'bigint', 'tenant_id', 'business_id', '', ''],
        ['time_zone', 'text', 'timezone', 'time_zone', 'tz', ''],
        ['hours_json', 'text', 'opening_hours_json', 'working_hours_json', 'opening_hours', 'hours_json'],
        ['hours', 'text', 'working_hours', 'business_hours', 'hours', ''],
        ['days', 'text', 'working_days', 'opening_days', 'business_days', '']]);
    perform make_old_view('old_call', old_schema, 'call_log', array[
        ['id', 'bigint', 'id', '', '', ''],
        ['business_id', 'bigint', 'business_id', 'tenant_id', '', ''],
        ['lead_id', 'bigint', 'lead_id', '', '', ''],
        ['call_sid', 'text', 'call_sid', '', '', ''],
        ['from_number', 'text', 'from_number', '', '', ''],
        ['to_number', 'text', 'to_number', '', '', ''],
        ['direction', 'text', 'direction', '', '', ''],
        ['status', 'text', 'status', '', '', ''],
        ['call_status', 'text', 'call_status', '', '', ''],
        ['error_code', 'text', 'error_code', '', '', ''],
        ['error_message', 'text', 'error_message', '', '', ''],
        ['duration', 'bigint', 'duration', 'duration_s', '', ''],
        ['customer_name', 'text', 'customer_name', '', '', ''],
        ['created_at', 'timestamp with time zone', 'created_at', '', '', ''],
        ['updated_at', 'timestamp with time zone', 'updated_at', '', '', '']]);
    perform make_old_view('old_lead', old_schema, 'leads', array[
        ['id', 'bigint', 'id', '', '', ''],
        ['business_id', 'bigint', 'tenant_id', 'business_id', '', ''],
        ['phone', 'text', 'phone_e164', 'phone', 'phone_number', ''],
        ['name', 'text', 'name', 'full_name', '', ''],
        ['first_name', 'text', 'first_name', '', '', ''],
        ['last_name', 'text', 'last_name', '', '', ''],
        ['source', 'text', 'source', '', '', ''],
        ['external_id', 'text', 'external_id', '', '', ''],
        ['status', 'text', 'status', '', '', ''],
        ['created_at', 'timestamp with time zone', 'created_at', '', '', '']]);
    perform make_old_view('old_run', old_schema, 'outbound_call_runs', array[
        ['id', 'bigint', 'id', '', '', ''],
        ['business_id', 'bigint', 'business_id', 'tenant_id', '', ''],
        ['concurrency', 'bigint', 'concurrency', '', '', ''],
        ['status', 'text', 'status', '', '', ''],
        ['cancel_requested', 'boolean', 'cancel_requested', '', '', '']]);
    perform make_old_view('old_job', old_schema, 'outbound_call_jobs', array[
        ['id', 'bigint', 'id', '', '', ''],
        ['run_id', 'bigint', 'run_id', '', '', ''],
        ['lead_id', 'bigint', 'lead_id', '', '', ''],
        ['business_id', 'bigint', 'business_id', 'tenant_id', '', ''],
        ['call_log_id', 'bigint', 'call_log_id', '', '', ''],
        ['status', 'text', 'status', '', '', ''],
        ['call_sid', 'text', 'call_sid', '', '', ''],
        ['twilio_call_sid', 'text', 'twilio_call_sid', '', '', ''],
        ['began_at', 'timestamp with time zone', 'dial_started_at', 'started_at', '', '']]);
    perform make_old_call_meaning();
end
$$;
