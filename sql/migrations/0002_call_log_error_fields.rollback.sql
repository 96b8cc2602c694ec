alter table call_log drop column if exists error_code;
alter table call_log drop column if exists error_message;
