-- Write the event of an import that ended, in whatever way; a trigger's.  The event of an import whose lines name their
-- businesses is of none, and goes to endpoints of all.
create or replace function event_of_import() returns trigger
language plpgsql as $$
begin
    if event_is_wanted(new.business_id, 'import.done') then
        perform write_event(new.business_id, 'import.done', 'evt_import_done_' || new.id, null,
                            jsonb_build_object('import_id', new.id, 'campaign_id', new.campaign_id, 'state', new.state,
                                               'created', new.created, 'already_there', new.already_there,
                                               'duplicates', new.duplicates, 'rejected', new.rejected));
    end if;
    return null;
end
$$;
