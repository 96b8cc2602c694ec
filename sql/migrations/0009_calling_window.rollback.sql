drop function if exists next_opening(bigint[], text[], timestamptz, float8);
drop function if exists earlier_of_twice(timestamp, text);
alter table campaign drop column if exists window_id;
alter table business drop column if exists window_id;
drop table if exists calling_day;
drop table if exists calling_window;
