-- The columns that an old table has of those that are wanted, each with its value in the column's own type, cut to its
-- length.  `wanted` holds [value, name, other name] for each; times without a zone are UTC.
create or replace function bridge_columns(old_schema text, old_table text, wanted text[][])
returns table (name text, value text)
language sql stable
as $$
    select quote_ident(found.name),
           case
               when found.type like 'timestamp%without time zone'
                   then format('(%s) at time zone ''UTC''', replace(wish.value, '{old}', '({old} at time zone ''UTC'')'))
               when found.type like 'character varying(%' then format('left(%s, %s)', wish.value, found.typmod - 4)
               else format('(%s)::%s', wish.value, found.type)
           end
      from (select place, wanted[place][1] as value,
                   array(select wanted[place][i] from generate_series(2, array_length(wanted, 2)) as i) as names
              from generate_series(1, array_length(wanted, 1)) as place) as wish
     cross join lateral (
           select attname::text as name, format_type(atttypid, atttypmod) as type, atttypmod as typmod
             from pg_attribute
            where attrelid = to_regclass(format('%I.%I', old_schema, old_table))
              and attnum > 0
              and not attisdropped
              and attgenerated = ''
              and attname = any(wish.names)
            order by array_position(wish.names, attname::text)
            limit 1
     ) as found
     order by wish.place;
$$;
