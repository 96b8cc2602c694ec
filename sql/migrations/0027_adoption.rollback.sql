do $$
begin
    if to_regprocedure('drop_old_views()') is not null then
        perform drop_old_views();
    end if;
end
$$;
drop function if exists drop_old_error_columns(text, text[]);
drop function if exists add_old_error_columns(text);
drop function if exists word_of_old_call(text, text);
drop function if exists meaning_of_old_word(text);
drop function if exists drop_old_views();
drop function if exists make_old_views(text);
drop function if exists make_old_view(text, text, text, text[]);
drop function if exists columns_of_old_table(text, text, text[]);
drop table if exists adopted;
drop table if exists adoption;
