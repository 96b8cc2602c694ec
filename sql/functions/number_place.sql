-- Which country a number is of (NULL: none), and its kind.
create or replace function number_place(phone text) returns table (region text, kind text)
language sql stable
as $$
    select case when found.kind not in ('unknown', 'never') then found.region end, found.kind
      from (select range.region, number_kind(substr(range.kinds, length($1) - 7, 1)) as kind
              from number_range as range
             where range.first <= substr($1, 2)
             order by range.first desc
             limit 1) as found
$$;
