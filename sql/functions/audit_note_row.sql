-- After a row, where most changes of the table are counters of dispatch: those are not even looked at.
create or replace function audit_note_row() returns trigger
language plpgsql security definer as $$
declare
    ignored text[] := tg_argv[0];
    personal text[] := tg_argv[1];
    listed jsonb;
begin
    listed := case tg_op
        when 'INSERT' then jsonb_build_object('after', audit_row(to_jsonb(new), ignored, personal))
        when 'DELETE' then jsonb_build_object('before', audit_row(to_jsonb(old), ignored, personal))
        else audit_difference(audit_row(to_jsonb(old), ignored, personal), audit_row(to_jsonb(new), ignored, personal))
    end;
    perform audit_write(tg_op, tg_table_name, 1, jsonb_build_array(listed));
    return null;
end
$$;
