-- Why judge_calls leaves a call out, in a sentence that says what to do; NULL for what is held out and no fault.
create or replace function refused_call_sentence(fault text, to_number text, business_id bigint) returns text
language sql stable
return case fault
    when 'own_number' then '`to` is a number of the business itself, which would call itself: give somebody else''s'
    when 'forgotten'
        then '`to` is the number of somebody who asked to be forgotten: nobody may call it, and it is not kept'
    when 'no_number' then 'the campaign has no number that may call: `outbound campaign set ... --number ...`'
    when 'borrowed'
        then 'the from number belongs to another business: give one of its own, see `outbound business list`'
    when 'no_such_zone' then '`time_zone` is one that this PostgreSQL does not know: update its time zone data'
    when 'no_zone'
        then 'there are calling hours, and the number does not tell the callee''s time zone: state `time_zone`'
    when 'reached' then null
    when 'lately' then null
    else format('`to` may not be called (%s): %s', fault, destination_sentence(to_number, business_id))
end;
