-- After a statement: one entry, however many rows it changed.  An import of a million is a count.
create or replace function audit_note_statement() returns trigger
language plpgsql security definer as $$
declare
    listed_max constant integer := 20;
    ignored text[] := tg_argv[0];
    personal text[] := tg_argv[1];
    changed bigint;
    listed jsonb;
begin
    if tg_op = 'TRUNCATE' then
        perform audit_write(tg_op, tg_table_name, null, null);
    elsif tg_op = 'INSERT' then
        select count(*) into changed from come;
        if changed between 1 and listed_max then
            select jsonb_agg(jsonb_build_object('after', audit_row(to_jsonb(come), ignored, personal))) into listed from come;
        end if;
    elsif tg_op = 'DELETE' then
        select count(*) into changed from gone;
        if changed between 1 and listed_max then
            select jsonb_agg(jsonb_build_object('before', audit_row(to_jsonb(gone), ignored, personal))) into listed from gone;
        end if;
    else
        select count(*) into changed from come;
        if changed between 1 and listed_max then
            -- Both hold the rows in the order in which they were changed.
            select count(*), jsonb_agg(audit_difference(was.content, now_is.content))
              into changed, listed
              from (select row_number() over () as place, audit_row(to_jsonb(gone), ignored, personal) as content
                      from gone) as was
             inner join (select row_number() over () as place, audit_row(to_jsonb(come), ignored, personal) as content
                           from come) as now_is on now_is.place = was.place
             where was.content <> now_is.content;
        end if;
    end if;
    if changed > 0 then
        perform audit_write(tg_op, tg_table_name, changed, listed);
    end if;
    return null;
end
$$;
