-- The columns of our tables that can hold a text with a number in it, as one expression for each table, and what takes it
-- out.  Calls with the number are deleted, not rewritten.  What yoyo keeps is not ours.
create or replace function columns_with_text()
returns table (source text, content text, assignments text)
language sql stable
as $$
    select relname::text,
           'concat_ws(chr(10), ' || string_agg(format('%I::text', attname), ', ' order by attnum) || ')',
           string_agg(case
                          when type = 'jsonb'
                              then format('%1$I = regexp_replace(%1$I::text, $2, ''0'', ''g'')::jsonb', attname)
                          when attname = 'idempotency_key'  -- they stay different
                              then format('%1$I = case when %1$I ~ $2 then ''forgotten:'' || id else %1$I end', attname)
                          else format('%1$I = regexp_replace(%1$I::text, $2, ''forgotten'', ''g'')::%2$s', attname, type)
                      end, ', ' order by attnum)
               filter (where (relname, attname) not in (('call_log', 'from_number'), ('call_log', 'to_number')))
      from (select relname, attname, attnum, format_type(atttypid, atttypmod) as type
              from pg_class
             inner join pg_attribute on attrelid = pg_class.oid
             where relnamespace = current_schema()::regnamespace
               and relkind in ('r', 'p')
               and relname not like '%yoyo%'
               and attnum > 0
               and not attisdropped
               and attgenerated = ''
               and format_type(atttypid, null) in ('text', 'character varying', 'character', 'json', 'jsonb', 'text[]', 'xml')
           ) as found
     group by relname
$$;
