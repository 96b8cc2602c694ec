do $$
begin
    if to_regprocedure('drop_bridge()') is not null then
        perform drop_bridge();
    end if;
end
$$;
drop function if exists drop_bridge();
drop function if exists make_bridge(text);
drop function if exists make_old_write_leads(text);
drop function if exists make_old_write_calls(text);
drop function if exists bridge_assignments(text, text, text[]);
drop function if exists bridge_columns(text, text, text[]);
drop function if exists bridge_write_again(text, bigint);
drop function if exists bridge_write(text, bigint[], boolean);
drop function if exists bridge_try(text, bigint[], text);
drop function if exists bridge_flush();
drop function if exists bridge_note();
drop function if exists bridge_writings(text, text);
drop function if exists bridge_status(text, text);
drop table if exists bridge_region;
drop table if exists bridge_due;
