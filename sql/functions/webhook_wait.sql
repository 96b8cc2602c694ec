-- How long a delivery waits after so many attempts that failed, before the jitter of a fifth; null after the last one.
create or replace function webhook_wait(attempts integer) returns interval
language sql immutable
return (array['5 s', '5 min', '30 min', '2 h', '5 h', '10 h', '14 h', '20 h', '24 h']::interval[])[$1];
