drop function if exists callee_zones(text, text);
drop table if exists phone_zone;
