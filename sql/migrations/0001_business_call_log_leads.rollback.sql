drop table if exists leads;
drop table if exists call_log;
drop table if exists business;
