-- Only indexes: nothing is lost.
-- One statement, and nothing without a mark: yoyo would undo what a migration that failed has done, which goes on instead.
do $rollback$
begin
    if exists (select from _yoyo_migration where migration_id = '0060_pages_by_key') then
        drop index if exists campaign_of_business;
    end if;
end
$rollback$;
