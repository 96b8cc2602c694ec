-- Only what this migration made goes, and no data unless the session says so: `outbound rollback` does, once asked.
do $$
declare
    theirs text;
    held record;
    rows_held bigint;
    losses text[] := '{}';
begin
    select string_agg(relname, ', ' order by relname) into theirs
      from pg_class
     inner join pg_namespace on pg_namespace.oid = relnamespace
     where nspname = current_schema()
       and relname in ('business', 'call_log', 'leads')
       and not exists (
           select from pg_attribute where attrelid = pg_class.oid and attname = 'id' and attidentity = 'd'
       );
    if theirs is not null then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = format('0034_person is not rolled back: outbound did not make %s', theirs);
    end if;
    for held in
        select *
          from (values
                    ('forgotten', 'true')
               ) as listed (relation, condition)
         where current_setting('outbound.lose_rows', true) is distinct from 'on'
    loop
        begin
            execute format('lock table %I in share mode', held.relation);
            execute format('select count(*) from %I where %s', held.relation, held.condition) into rows_held;
        exception
            when undefined_table or undefined_column then
                rows_held := 0;
        end;
        if rows_held > 0 then
            losses := losses || format('%s rows of %s%s', rows_held, held.relation,
                                       ' where ' || nullif(held.condition, 'true'));
        end if;
    end loop;
    if losses <> '{}' then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = format('0034_person is not rolled back: it would lose %s; '
                             '`outbound rollback` says all that would be lost and asks first',
                             array_to_string(losses, ', '));
    end if;
end
$$;

drop trigger if exists call_log_forgotten on call_log;
drop trigger if exists call_log_forgotten_look on call_log;
drop trigger if exists consent_forgotten on consent;
drop trigger if exists consent_forgotten_look on consent;
drop trigger if exists leads_forgotten on leads;
drop trigger if exists leads_forgotten_look on leads;
drop trigger if exists registry_check_forgotten on registry_check;
drop trigger if exists registry_check_forgotten_look on registry_check;
drop trigger if exists suppression_forgotten on suppression;
drop trigger if exists suppression_forgotten_look on suppression;
drop function if exists unmention(text, text);
drop function if exists rows_that_mention(text, text);
drop function if exists columns_with_text();
drop function if exists forgotten_are_looked_for();
drop function if exists forgotten_stay_out_of_calls();
drop function if exists forgotten_stay_out();

create or replace function is_suppressed(phone text, business_id bigint, campaign_id bigint) returns boolean
language sql stable parallel safe
return exists (
    select
      from suppression
     where phone_key(suppression.phone) = phone_key(is_suppressed.phone)
       and coalesce(suppression.business_id, is_suppressed.business_id) = is_suppressed.business_id
       and (suppression.campaign_id is null or suppression.campaign_id = is_suppressed.campaign_id)
);

drop function if exists is_forgotten(text);
drop table if exists forgotten;
