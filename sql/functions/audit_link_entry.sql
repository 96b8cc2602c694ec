-- Fires at the commit, so that nobody waits for somebody's open transaction, and last, so that no two wait for each other.
create or replace function audit_link_entry() returns trigger
language plpgsql security definer as $$
declare
    before audit_head;
    link_content bytea := audit_content(new.who, new.key, new.details);
    link_hash bytea;
begin
    select * into strict before from audit_head for update;
    link_hash := audit_hash(before.hash, before.place + 1, tg_table_name, new.id, new.at, new.db_user, new.os_user,
                            new.action, new.scope, link_content);
    insert into audit_link (place, source, entry_id, content, hash)
    values (before.place + 1, tg_table_name, new.id, link_content, link_hash);
    update audit_head set place = before.place + 1, hash = link_hash;
    return null;
end
$$;
