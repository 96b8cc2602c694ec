drop table if exists call_event;
