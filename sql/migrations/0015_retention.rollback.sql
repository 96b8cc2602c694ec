drop index if exists call_log_ended;
