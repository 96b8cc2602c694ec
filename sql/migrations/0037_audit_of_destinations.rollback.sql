do $$
declare
    target record;
begin
    for target in
        select tgrelid::regclass as owner, tgname
          from pg_trigger
         where tgrelid in (to_regclass('destination'), to_regclass('spend_cap')) and tgname ~ '_audit_'
    loop
        execute format('drop trigger %I on %s', target.tgname, target.owner);
    end loop;
end
$$;

drop function if exists audit_erase_old(text, integer, integer);
