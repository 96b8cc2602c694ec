-- What limits and stops a call that waits, the widest first: its scopes, as an operator calls them, with what is left of
-- their limits (room_of_scopes).  `is_elsewhere` where the account is not the one with which its business calls.
create or replace function scopes_of_call(call_id bigint, account_rate float8)
returns table (
    place integer, scope text, key text, called text, zone text, state text, state_reason text, state_since timestamptz,
    troubles integer, carrier_holds integer, carrier_hold_until timestamptz, is_slowed boolean, hold_until timestamptz,
    rate float8, tokens float8, live_max integer, live bigint, unknown bigint, room bigint, spend_code text,
    spend_until timestamptz, is_elsewhere boolean
)
language sql stable
as $$
    select own.*, call_zone(waiting.to_number, waiting.time_zone, waiting.business_id), room.state, room.state_reason,
           room.state_since, room.troubles, room.carrier_holds, room.carrier_hold_until, room.is_slowed,
           -- A hold of the carrier's for everything is about the calls that have no account of their own.
           case when is_elsewhere then room.calm_until else room.hold_until end, room.rate,
           room.tokens, room.live_max, room.live, room.unknown,
           case when is_elsewhere then room.calm_room else room.room end, room.spend_code, room.spend_until,
           is_elsewhere
      from call_log as waiting
     inner join business on business.id = waiting.business_id
     cross join lateral (
           values (1, 'account', '', 'everything'),
                  (2, 'business', waiting.business_id::text, 'business ' || waiting.business_id),
                  (3, 'campaign', waiting.campaign_id::text, 'campaign ' || waiting.campaign_id),
                  (4, 'number', waiting.from_number, 'number ' || waiting.from_number)
     ) as own (place, scope, key, called)
     inner join lateral room_of_scopes(
           array['account', 'business', 'campaign', 'number'],
           array['', waiting.business_id::text, waiting.campaign_id::text, waiting.from_number],
           account_rate
     ) as room on room.scope = own.scope and room.key = own.key
     cross join lateral (select own.scope = 'account' and business.carrier_account is not null as is_elsewhere) as account
     where waiting.id = $1 and waiting.status = 'queued'
$$;
