-- One statement, and nothing without a mark: yoyo would undo what a migration that failed has done, which goes on instead.
do $rollback$
begin
    if not exists (select from _yoyo_migration where migration_id = '0035_people_grow_old') then
        return;
    end if;

drop index if exists audit_change_age;
drop index if exists audit_age;
drop index if exists registry_check_age;
drop index if exists leads_touched;
drop index if exists leads_duplicates;
drop index if exists call_log_lead;
end
$rollback$;
