-- Audit what is changed in a table.  May be called again.
--
-- `ignored` are columns that are no decision of anybody's: with some, a change of these alone costs a comparison.
-- `personal` are columns that hold the number of a person whom we call.
create or replace function audit_changes_of(target regclass, ignored text[] default '{}', personal text[] default '{}')
returns void
language plpgsql as $$
declare
    name text := (select relname || '_audit_' from pg_class where oid = target);
    given text := format('%L, %L', ignored || array['updated_at'], personal);
    is_changed text;
    is_more text;
begin
    execute format('create or replace trigger %I after truncate on %s for each statement '
                   'execute function audit_note_statement(%s)', name || 'truncate', target, given);
    if ignored = '{}' then
        execute format('create or replace trigger %I after insert on %s referencing new table as come '
                       'for each statement execute function audit_note_statement(%s)', name || 'insert', target, given);
        execute format('create or replace trigger %I after update on %s referencing old table as gone '
                       'new table as come for each statement execute function audit_note_statement(%s)',
                       name || 'update', target, given);
        execute format('create or replace trigger %I after delete on %s referencing old table as gone '
                       'for each statement execute function audit_note_statement(%s)', name || 'delete', target, given);
        return;
    end if;
    select string_agg(format('old.%1$I is distinct from new.%1$I', attname), ' or ' order by attnum),
           string_agg(format('new.%I is distinct from %s', attname,
                             coalesce(pg_get_expr(adbin, adrelid), 'null::' || format_type(atttypid, atttypmod))),
                      ' or ' order by attnum) filter (where not coalesce(attnum = any(indkey), false))
      into is_changed, is_more
      from pg_attribute
      left join pg_attrdef on adrelid = attrelid and adnum = attnum
      left join pg_index on indrelid = attrelid and indisprimary
     where attrelid = target and attnum > 0 and not attisdropped and attname <> all(ignored) and attname <> 'updated_at';
    execute format('create or replace trigger %I after insert on %s for each row when (%s) '
                   'execute function audit_note_row(%s)', name || 'insert', target, is_more, given);
    execute format('create or replace trigger %I after update on %s for each row when (%s) '
                   'execute function audit_note_row(%s)', name || 'update', target, is_changed, given);
    execute format('create or replace trigger %I after delete on %s for each row '
                   'execute function audit_note_row(%s)', name || 'delete', target, given);
end
$$;
