-- Is this the number of somebody who was forgotten?  While nobody was, it costs a page.
create or replace function is_forgotten(phone text) returns boolean
language sql stable parallel safe
return exists (select from forgotten)
   and exists (select from forgotten where hash = person_hash(is_forgotten.phone));
