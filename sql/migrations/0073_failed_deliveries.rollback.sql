-- Only an index: nothing is lost.
-- One statement, and nothing without a mark: yoyo would undo what a migration that failed has done, which goes on instead.
do $rollback$
begin
    if exists (select from _yoyo_migration where migration_id = '0073_failed_deliveries') then
        drop index if exists webhook_delivery_failed;
    end if;
end
$rollback$;
