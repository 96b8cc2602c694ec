-- The moment that a text in ISO 8601 with an offset means, or NULL where it means none: it never raises an error.
create or replace function read_moment(written text) returns timestamptz
language sql stable
as $$
    select case
               when part[2]::integer between 1 and 12
                    and part[3]::integer between 1 and extract(
                        day from make_date(part[1]::integer, part[2]::integer, 1) + interval '1 month -1 day'
                    )
                   then $1::timestamptz
           end
      from regexp_match($1, '^((?:19|20|21)[0-9]{2})-(0[1-9]|1[0-2])-([0-9]{2})[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]'
                            '(?::[0-5][0-9](?:\.[0-9]{1,6})?)?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])$') as part
$$;
