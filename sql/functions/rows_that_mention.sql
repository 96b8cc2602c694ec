-- Every row of ours in which a number stands, whichever way it is written there.
--
-- `core` are digits that each writing has in a row once its separators are gone; `pattern` is a regular expression of all
-- writings.  The first is fast, the second is right; `case` asks in this order, and `and` would begin with the second.
create or replace function rows_that_mention(core text, pattern text)
returns table (source text, content jsonb)
language plpgsql stable
as $$
declare
    place record;
begin
    for place in select * from columns_with_text() order by 1 loop
        return query execute format(
            'select %1$L::text, to_jsonb(found) from %1$I as found '
            'where case when position($1 in translate(%2$s, '' -./()'' || chr(160), '''')) > 0 then %2$s ~ $2 end',
            place.source, place.content)
        using core, pattern;
    end loop;
end
$$;
