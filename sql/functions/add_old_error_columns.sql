-- Add the error columns that the old call_log lacks: its own clean-up failed without them.  Returns which were added.
create or replace function add_old_error_columns(old_schema text) returns text[]
language plpgsql
as $$
declare
    added text[] := '{}';
    wish record;
begin
    for wish in select * from (values ('error_message', 'text'), ('error_code', 'varchar(64)')) as wish (name, type) loop
        if not exists (
            select
              from pg_attribute
             where attrelid = to_regclass(format('%I.call_log', old_schema)) and attname = wish.name and not attisdropped
        ) then
            execute format('alter table %I.call_log add column %I %s', old_schema, wish.name, wish.type);
            added := added || wish.name;
        end if;
    end loop;
    return added;
end
$$;
