drop function if exists has_consent(bigint, text);
drop function if exists is_suppressed(text, bigint, bigint);
drop index if exists call_log_unchecked;
drop table if exists registry_check;
drop table if exists consent;
drop table if exists suppression;
