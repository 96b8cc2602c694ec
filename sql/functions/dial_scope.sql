-- Each scope that has a row of control, and how much of its limits is left at this moment (room_of_scopes).
create or replace function dial_scope(account_rate float8, only_capped boolean default false)
returns table (
    scope text, key text, weight float8, state text, state_reason text, hold_until timestamptz, rate float8,
    tokens float8, live_max integer, live bigint, unknown bigint, room bigint, served float8,
    served_floor float8, spend_code text, spend_until timestamptz, calm_room bigint
)
language sql stable
as $$
    select room.scope, room.key, room.weight, room.state, room.state_reason, room.hold_until, room.rate, room.tokens,
           room.live_max, room.live, room.unknown, room.room, room.served, room.served_floor, room.spend_code,
           room.spend_until, room.calm_room
      from room_of_scopes(null, null, account_rate, only_capped) as room
$$;
