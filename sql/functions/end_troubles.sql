-- The carrier took these calls: nothing of their scopes is refused or in trouble in a row any more (record_refusal and
-- record_trouble in dial.sql count that).  They are locked in one order, as others end the troubles of the same ones.
create or replace function end_troubles(calls call_log[]) returns void
language plpgsql
as $$
begin
    update dial_control
       set refused_calls = '{}', troubles = 0, carrier_holds = 0, carrier_hold_until = null
      from (select scope, key
              from dial_control
             where (scope, key) in (
                       select own.scope, own.key
                         from unnest(calls) as call
                        cross join lateral (
                              values ('account', case when call.carrier_account is null then '' end),
                                     ('business', call.business_id::text), ('campaign', call.campaign_id::text),
                                     ('number', call.from_number)
                        ) as own (scope, key)
                   )
               and (refused_calls <> '{}' or troubles <> 0)
             order by scope, key
               for update) as troubled
     where dial_control.scope = troubled.scope and dial_control.key = troubled.key;
end
$$;
