drop function if exists obstacle_sentence(text);
drop function if exists call_windows(bigint, bigint);
drop function if exists call_obstacle(call_log, bigint[], text[], timestamptz);
drop function if exists dial_scope(float8);
