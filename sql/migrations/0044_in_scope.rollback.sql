alter table counter alter column slot drop default;
drop function if exists in_scope(call_log, text, text);
