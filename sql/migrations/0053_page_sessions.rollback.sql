-- Only a function: nothing is lost.
drop function if exists page_sessions(bytea[]);
