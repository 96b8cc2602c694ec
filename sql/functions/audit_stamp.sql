-- Trigger: set db_user and os_user of an audit entry, whatever the statement gives for them.
create or replace function audit_stamp() returns trigger
language plpgsql as $$
begin
    new.db_user := session_user;
    new.os_user := nullif(current_setting('outbound.os_user', true), '');
    return new;
end
$$;
