-- The carrier took this call: nothing of its scopes is refused or in trouble in a row any more (record_refusal and
-- record_trouble in dial.sql count that).
create or replace function end_troubles(call call_log) returns void
language plpgsql
as $$
begin
    update dial_control
       set refused_calls = '{}', troubles = 0, carrier_holds = 0, carrier_hold_until = null
     where (scope, key) in ((case when call.carrier_account is null then 'account' end, ''),
                            ('business', call.business_id::text), ('campaign', call.campaign_id::text),
                            ('number', call.from_number))
       and (refused_calls <> '{}' or troubles <> 0);
end
$$;
