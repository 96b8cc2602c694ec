-- Only what this migration made goes, and no data unless the session says so: `outbound rollback` does, once asked.
-- One statement, and nothing without a mark: yoyo would undo what a migration that failed has done, which goes on instead.
do $rollback$
begin
    if not exists (select from _yoyo_migration where migration_id = '0040_calls_are_found') then
        return;
    end if;
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
                message = format('0040_calls_are_found is not rolled back: outbound did not make %s', theirs);
        end if;
        for held in
            select *
              from (values
                        ('call_log', 'created_by is not null'),
                        ('call_log', 'stopped_by is not null'),
                        ('call_log', 'stop_reason is not null')
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
                message = format('0040_calls_are_found is not rolled back: it would lose %s; '
                                 '`outbound rollback` says all that would be lost and asks first',
                                 array_to_string(losses, ', '));
        end if;
    end;

drop function if exists find_calls(
    text, bigint, bigint, text[], text, text, bigint, timestamptz, timestamptz, timestamptz, bigint, integer, integer);
drop function if exists call_moment(call_log);
drop index if exists call_log_past;
drop index if exists call_log_campaign_past;
drop index if exists call_log_error;
drop index if exists call_log_undialed;
drop index if exists call_log_caller;
drop index if exists call_log_batch_retries;
alter table call_log drop column if exists created_by;
alter table call_log drop column if exists stopped_by;
alter table call_log drop column if exists stop_reason;
end
$rollback$;
