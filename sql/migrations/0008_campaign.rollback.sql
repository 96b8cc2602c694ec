-- Only what this migration made goes, and no data unless the session says so: `outbound rollback` does, once asked.
-- One statement, and nothing without a mark: yoyo would undo what a migration that failed has done, which goes on instead.
do $rollback$
begin
    if not exists (select from _yoyo_migration where migration_id = '0008_campaign') then
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
                message = format('0008_campaign is not rolled back: outbound did not make %s', theirs);
        end if;
        for held in
            select *
              from (values
                        ('campaign', 'true'),
                        ('campaign_number', 'true'),
                        ('retry_ladder', 'true'),
                        ('retry_step', 'true'),
                        ('audit', 'true'),
                        ('dial_control', 'scope <> ''account'' or state <> ''running'' or calls_per_second is not null or live_max is not null'),
                        ('business', 'ladder_id is not null'),
                        ('call_log', 'campaign_id is not null'),
                        ('call_log', 'retry_of is not null'),
                        ('call_log', 'contact is not null'),
                        ('call_log', 'time_zone is not null'),
                        ('call_log', 'held_by is not null'),
                        ('call_log', 'paused_at is not null'),
                        ('call_log', 'hang_up is not null'),
                        ('call_log', 'hang_up_asked_at is not null'),
                        ('call_log', 'dial_by is not null'),
                        ('call_log', 'attempt <> 1')
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
                message = format('0008_campaign is not rolled back: it would lose %s; '
                                 '`outbound rollback` says all that would be lost and asks first',
                                 array_to_string(losses, ', '));
        end if;
    end;

create index if not exists call_log_due on call_log (business_id, due_at, id) where status = 'queued';
drop function if exists pace_tokens(float8, float8, timestamptz);
drop function if exists pace_now(float8, float8, timestamptz);
drop function if exists call_contact(text);
drop function if exists is_time_zone(text);
drop function if exists campaign_from_number(bigint, text, integer);
drop table if exists audit;
drop table if exists dial_control;
drop view if exists lane;
drop index if exists call_log_hang_ups;
drop index if exists call_log_campaign;
drop index if exists call_log_retries;
drop index if exists call_log_attempts;
drop index if exists call_log_paused;
drop index if exists call_log_lane;
alter table call_log drop constraint if exists call_log_due_at;
alter table call_log drop constraint if exists call_log_time_zone;
alter table call_log drop constraint if exists call_log_contact;
alter table call_log drop constraint if exists call_log_hang_up;
alter table call_log drop column if exists dial_by;
alter table call_log drop column if exists hang_up_asked_at;
alter table call_log drop column if exists hang_up;
alter table call_log drop column if exists paused_at;
alter table call_log drop column if exists held_by;
alter table call_log drop column if exists time_zone;
alter table call_log drop column if exists contact;
alter table call_log drop column if exists retry_of;
alter table call_log drop column if exists attempt;
alter table call_log drop column if exists campaign_id;
alter table business drop column if exists ladder_id;
drop table if exists campaign_number;
drop table if exists campaign;
drop table if exists retry_step;
drop table if exists retry_ladder;
end
$rollback$;
