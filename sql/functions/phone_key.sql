-- The form of a number that stands for its telephone.  Argentina's mobiles lose the 9 that is dialed from abroad,
-- Mexico's the 1 that was dialed until 2020; Brazil's that lack the ninth digit (all since 2016) get it: they began with
-- 6 to 9, and landlines do not.
create or replace function phone_key(phone text) returns text
language sql immutable parallel safe
return case left(phone, 3)
    when '+54' then regexp_replace(phone, '^\+549([0-9]{10})$', '+54\1')
    when '+52' then regexp_replace(phone, '^\+521([0-9]{10})$', '+52\1')
    when '+55' then regexp_replace(phone, '^(\+55[1-9]{2})([6-9][0-9]{7})$', '\19\2')
    else phone
end;
