-- A select list of an old table: each column that we read, by its present name and type, in whichever way the old
-- system has it.  `wanted` holds [name, type, column, other column ...] for each; a column that is nowhere is NULL.
-- Times without a zone are UTC.  What needs no cast stays a plain column, so that the view can use its index and be
-- written through.
create or replace function columns_of_old_table(old_schema text, old_table text, wanted text[][]) returns text
language sql stable
as $$
    select string_agg(
               case
                   when found.name is null then format('null::%s as %I', wish.type, wish.name)
                   when found.type = wish.type then format('%I as %I', found.name, wish.name)
                   when wish.type = 'timestamp with time zone' and found.type = 'timestamp without time zone'
                       then format('%I at time zone ''UTC'' as %I', found.name, wish.name)
                   when wish.type = 'text' and found.type like 'character varying%'
                        or wish.type = 'bigint' and found.type in ('integer', 'smallint')
                       then format('%I as %I', found.name, wish.name)
                   else format('%I::%s as %I', found.name, wish.type, wish.name)
               end, ', ' order by wish.place)
      from (select place, wanted[place][1] as name, wanted[place][2] as type,
                   array(select wanted[place][i] from generate_series(3, array_length(wanted, 2)) as i) as columns
              from generate_series(1, array_length(wanted, 1)) as place) as wish
      left join lateral (
           select attname as name, format_type(atttypid, atttypmod) as type
             from pg_attribute
            where attrelid = to_regclass(format('%I.%I', old_schema, old_table))
              and attnum > 0
              and not attisdropped
              and attname = any(wish.columns)
            order by array_position(wish.columns, attname::text)
            limit 1
      ) as found on true;
$$;
