-- Only indexes: nothing is lost.  Nothing is written to leads while their old index is built: run it in a quiet hour.
-- One statement, and nothing without a mark: yoyo would undo what a migration that failed has done, which goes on instead.
do $rollback$
begin
    if exists (select from _yoyo_migration where migration_id = '0060_pages_by_key') then
        create index if not exists leads_touched on leads (updated_at);
        drop index if exists campaign_of_business;
        drop index if exists leads_latest;
    end if;
end
$rollback$;
