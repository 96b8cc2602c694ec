-- obstacle_sentence, with the zone that was stated where that is what is wrong.
create or replace function refusal_sentence(code text, time_zone text) returns text
language sql immutable parallel safe
return case
    when code = 'no_time_zone' and time_zone is not null
        then format('This PostgreSQL knows no time zone %L: state its present name, like Asia/Jerusalem.',
                    left(time_zone, 64))
    when code = 'no_time_zone'
        then 'There are calling hours, and the callee''s time zone cannot be told from the number: state time_zone.'
    else obstacle_sentence(code)
end;

-- The sentence that a call is closed with.
create or replace function refusal_sentence(code text, call call_log) returns text
language sql stable
return case
    when code = 'destination_not_allowed'
        then coalesce(destination_sentence(call.to_number, call.business_id), obstacle_sentence(code))
    else refusal_sentence(code, call.time_zone)
end;
