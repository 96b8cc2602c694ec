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
            message = format('0047_enqueue_functions is not rolled back: outbound did not make %s', theirs);
    end if;
    for held in
        select *
          from (values
                    ('identity', 'carrier is not null')
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
            message = format('0047_enqueue_functions is not rolled back: it would lose %s; '
                             '`outbound rollback` says all that would be lost and asks first',
                             array_to_string(losses, ', '));
    end if;
end
$$;


drop function if exists cancel_call;
drop function if exists why;
drop function if exists enqueue_call;
drop function if exists enqueue_calls;
drop function if exists enqueue_read_calls;
drop function if exists read_calls;
drop function if exists call_shape_fault;
drop function if exists contact_fault;
drop function if exists read_zone;
drop function if exists read_moment;
drop function if exists read_e164;
drop function if exists is_number_shape;
drop function if exists has_unseen;
drop function if exists calls_there;
drop function if exists find_callers;
drop function if exists queue_calls;
drop function if exists judge_calls;
drop function if exists refused_call_sentence;

-- Is the carrier of this session the simulator?  Ours say so (pin_session); one that says nothing may ring phones.
create or replace function is_simulated() returns boolean
language sql stable
return coalesce(current_setting('outbound.carrier', true) = 'simulator', false);

drop function if exists dials_by_simulator();
alter table identity drop column if exists carrier;
