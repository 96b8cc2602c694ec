-- Only what this migration made goes, and no data unless the session says so: `outbound rollback` does, once asked.
-- One statement, and nothing without a mark: yoyo would undo what a migration that failed has done, which goes on instead.
do $rollback$
begin
    if not exists (select from _yoyo_migration where migration_id = '0005_call_log_queue') then
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
                message = format('0005_call_log_queue is not rolled back: outbound did not make %s', theirs);
        end if;
        for held in
            select *
              from (values
                        ('call_log', 'true')
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
                message = format('0005_call_log_queue is not rolled back: it would lose %s; '
                                 '`outbound rollback` says all that would be lost and asks first',
                                 array_to_string(losses, ', '));
        end if;
    end;

drop trigger if exists call_log_guard on call_log;
drop function if exists call_log_guard();
drop index if exists call_log_live;
drop index if exists call_log_overdue;
drop index if exists call_log_due;
drop index if exists call_log_one_live;
drop index if exists call_log_idempotency_key;
drop index if exists call_log_call_sid;
alter table call_log drop constraint if exists call_log_dialable;
alter table call_log drop constraint if exists call_log_deadline;
alter table call_log drop constraint if exists call_log_direction;
alter table call_log drop constraint if exists call_log_status;
alter table call_log alter column status drop not null;
alter table call_log alter column status drop default;
alter table call_log alter column direction drop default;
drop function if exists call_is_in_doubt(text, text);
drop function if exists call_awaits_truth(text, text);
drop function if exists call_status_rank(text);
alter table call_log drop column if exists lead_id;
alter table call_log drop column if exists idempotency_key;
alter table call_log drop column if exists answered_by;
alter table call_log drop column if exists duration_s;
alter table call_log drop column if exists ended_at;
alter table call_log drop column if exists answered_at;
alter table call_log drop column if exists dialed_at;
alter table call_log drop column if exists looked_at;
alter table call_log drop column if exists looks;
alter table call_log drop column if exists put_backs;
alter table call_log drop column if exists fence;
alter table call_log drop column if exists overdue_at;
alter table call_log drop column if exists due_at;
end
$rollback$;
