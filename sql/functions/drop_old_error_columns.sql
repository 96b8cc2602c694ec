-- Drop the columns of add_old_error_columns, where nothing was written there.  Returns which of them stay.
create or replace function drop_old_error_columns(old_schema text, added text[]) returns text[]
language plpgsql
as $$
declare
    kept text[] := '{}';
    is_used boolean;
    column_name text;
begin
    foreach column_name in array added loop
        if exists (
            select
              from pg_attribute
             where attrelid = to_regclass(format('%I.call_log', old_schema))
               and attname = column_name
               and not attisdropped
        ) then
            execute format('select exists (select from %I.call_log where %I is not null)', old_schema, column_name)
               into is_used;
            if is_used then
                kept := kept || column_name;
            else
                execute format('alter table %I.call_log drop column %I', old_schema, column_name);
            end if;
        end if;
    end loop;
    return kept;
end
$$;
