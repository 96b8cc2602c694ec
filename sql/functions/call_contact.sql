-- The contact of a call as it was imported, for a voice application that knows the call_sid.  Of live calls alone; nobody but
-- the owner may execute it until that is granted.
create or replace function call_contact(call_sid text) returns jsonb
language sql stable parallel safe security definer
return (select coalesce(contact, '{}')
          from call_log
         where call_log.call_sid = call_contact.call_sid
           and status in ('initiated', 'ringing', 'in-progress'));
