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
            'update %1$I set %3$s '
            'where case when position($1 in translate(%2$s, '' -./()'' || chr(160), '''')) > 0 then %2$s ~ $2 end',
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
