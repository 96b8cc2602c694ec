drop function if exists why_not_dialed(bigint, float8, float8, float8, integer, float8);
drop function if exists moment_text(timestamptz);
drop index if exists audit_subject;
