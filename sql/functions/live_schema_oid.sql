-- The schema that holds our tables: a copy of it has another number.
create or replace function live_schema_oid() returns bigint
language sql stable
as $$
    select relnamespace::bigint from pg_class where oid = 'identity'::regclass
$$;
