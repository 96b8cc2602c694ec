-- Only indexes: nothing is lost.
-- One statement, and nothing without a mark: yoyo would undo what a migration that failed has done, which goes on instead.
do $rollback$
begin
    if exists (select from _yoyo_migration where migration_id = '0057_suppression_lists') then
        drop index if exists suppression_everybody;
        drop index if exists suppression_of_campaign;
    end if;
end
$rollback$;
