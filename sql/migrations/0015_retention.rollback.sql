-- One statement, and nothing without a mark: yoyo would undo what a migration that failed has done, which goes on instead.
do $rollback$
begin
    if not exists (select from _yoyo_migration where migration_id = '0015_retention') then
        return;
    end if;

drop index if exists call_log_ended;
end
$rollback$;
