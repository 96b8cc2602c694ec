-- Is this call one of a scope's: of everything (account), of a business, a campaign or a from-number, or itself (call)?
create or replace function in_scope(call call_log, scope text, key text) returns boolean
language sql stable
return case scope
    when 'account' then true
    when 'business' then call.business_id::text = key
    when 'campaign' then call.campaign_id::text = key
    when 'number' then call.from_number = key
    when 'call' then call.id::text = key
end;
