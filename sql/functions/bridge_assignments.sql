-- How an old table's columns are set; `{old}` in a value is the column's present value.
create or replace function bridge_assignments(old_schema text, old_table text, wanted text[][]) returns text
language sql stable
as $$
    select string_agg(format('%s = %s', name, replace(value, '{old}', 'o.' || name)), ', ')
      from bridge_columns(old_schema, old_table, wanted);
$$;
