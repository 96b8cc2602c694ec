-- A voice application needs no right to read call_log: call_contact reads it for whoever may execute that function.
-- depends: 0029_identity_schema

-- Of live calls alone, and of one whose call_sid is known; nobody but the owner may execute it until that is granted.
create or replace function call_contact(call_sid text) returns jsonb
language sql stable parallel safe security definer
return (select coalesce(contact, '{}')
          from call_log
         where call_log.call_sid = call_contact.call_sid
           and status in ('initiated', 'ringing', 'in-progress'));

do $$
begin
    execute format('alter function call_contact(text) set search_path = %I, pg_temp', current_schema());
end
$$;

revoke execute on function call_contact(text) from public;
