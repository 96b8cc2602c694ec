-- What stands for a person's number where the number itself shall not stand.  With the key, a number can be found by
-- trying all of them: there are not many.
create or replace function person_hash(phone text) returns bytea
language sql stable parallel safe
return (select sha256(key || sha256(key || convert_to(phone_key(phone), 'UTF8'))) from person_key);
