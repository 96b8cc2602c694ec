create or replace function call_contact(call_sid text) returns jsonb
language sql stable parallel safe security invoker
return (select coalesce(contact, '{}') from call_log where call_log.call_sid = call_contact.call_sid);

grant execute on function call_contact(text) to public;
