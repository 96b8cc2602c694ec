-- The view cap_room, for dial_scope and others that were written before it.
create or replace function spend_room()
returns table (scope text, key text, room bigint, code text, until timestamptz)
language sql stable
as $$
    select cap_room.scope, cap_room.key, cap_room.room, cap_room.code, cap_room.until from cap_room
$$;
