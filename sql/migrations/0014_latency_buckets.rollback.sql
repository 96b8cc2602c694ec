drop function if exists seconds_counted(text, float8);
