-- Only functions: nothing is lost.
-- Every row of ours in which a number stands, whichever way it is written there.
--
-- `core` are digits that each writing has in a row once its separators are gone; `pattern` is a regular expression of all
-- writings.  The first is fast, the second is right.
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
            'where position($1 in translate(%2$s, '' -./()'' || chr(160), '''')) > 0 and %2$s ~ $2',
            place.source, place.content)
        using core, pattern;
    end loop;
end
$$;

-- Put a word, or in JSON a 0, in the place of a number in all texts of ours but those of the audit, which has its own way.
create or replace function unmention(core text, pattern text)
returns table (source text, changed bigint)
language plpgsql
as $$
declare
    place record;
begin
    for place in select * from columns_with_text() where columns_with_text.source not like 'audit%' order by 1 loop
        execute format(
            'update %1$I set %3$s where position($1 in translate(%2$s, '' -./()'' || chr(160), '''')) > 0 and %2$s ~ $2',
            place.source, place.content, place.assignments)
        using core, pattern;
        get diagnostics changed = row_count;
        if changed > 0 then
            source := place.source;
            return next;
        end if;
    end loop;
end
$$;
