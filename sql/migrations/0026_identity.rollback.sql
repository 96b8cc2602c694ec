drop function if exists identity_fault();
drop function if exists live_identity();
drop table if exists dials_begun;
drop table if exists identity;
