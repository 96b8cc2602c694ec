-- What is at a place: the kind that an entry there opens, and how many digits it says.  No row where nothing can be.
create or replace function destination_at(place text) returns table (kind text, digits float8)
language sql stable
as $$
    with range as (
        (select first, region, kinds from number_range where first <= substr($1, 2) order by first desc limit 1)
        union
        select first, region, kinds from number_range where $1 like '+%' and starts_with(first, substr($1, 2))
        union
        select first, region, kinds from number_range where region = $1
    ), here as (
        select * from range where $1 like '+%' or region = $1
    ), known as (
        select distinct number_kind(letter) as kind
          from here
         cross join lateral unnest(string_to_array(kinds, null)) as letter
    ), mark as (
        select min(first) as low, max(first) as high from here
    )
    select case
               when (select count(*) from known where kind not in ('unknown', 'never')) > 1 then 'ordinary'
               else coalesce((select kind from known where kind not in ('unknown', 'never')),
                             (select kind from known where kind = 'unknown'), 'never')
           end,
           case
               when $1 like '+%' then length($1) - 1
               else 0.5 + (select count(*)
                             from generate_series(1, length(low)) as place (digits)
                            where left(low, place.digits) = left(high, place.digits))
           end::float8
      from mark
     where low is not null
$$;
