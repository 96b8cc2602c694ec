-- The IANA time zone that a text names as it is written today, or NULL where that is not certain.
create or replace function read_zone(written text) returns text
language sql stable
as $$
    select $1
     where $1 ~ '^[A-Z][A-Za-z_]+(/[A-Z][A-Za-z_-]+)+$'
       and $1 !~ '^(Etc|SystemV|US|Brazil|Canada|Chile|Mexico|Arctic)/'
       and not exists (select from former_zone where name = $1)
       and is_time_zone($1)
$$;
