-- A view `old_...` over an old table; without rows where there is no such table.
create or replace function make_old_view(view_name text, old_schema text, old_table text, wanted text[][]) returns void
language plpgsql
as $$
begin
    execute format('drop view if exists %I.%I cascade', current_schema(), view_name);
    execute format('create view %I.%I as select %s %s', current_schema(), view_name,
                   columns_of_old_table(old_schema, old_table, wanted),
                   case
                       when to_regclass(format('%I.%I', old_schema, old_table)) is null then 'where false'
                       else format('from %I.%I', old_schema, old_table)
                   end);
end
$$;
