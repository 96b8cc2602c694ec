-- The account that may speak of a call: the one that it was dialed with, or would be.
create or replace function account_of_call(call call_log) returns text
language sql stable
return case
    when call.direction = 'outbound' and (call.dialed_at is null or call.status in ('queued', 'claimed'))
        then (select carrier_account from business where business.id = call.business_id)
    else call.carrier_account
end;
