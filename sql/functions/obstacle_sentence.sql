-- A code in words that an operator can act upon.
create or replace function obstacle_sentence(code text) returns text
language sql immutable parallel safe
return case code
    when 'campaign_ended' then 'Its campaign has ended.'
    when 'campaign_ends_first' then 'Its campaign ends before it is due.'
    when 'suppressed' then 'The number is on a do-not-call list.'
    when 'not_dialable'
        then 'The number begins like an emergency number or a call abroad, or is as short as a short code:'
             ' it is never dialed.'
    when 'destination_not_allowed'
        then 'Calls to this destination are not allowed: see `outbound destination list`.'
    when 'no_consent' then 'The campaign demands consent, and none is on record or it has expired.'
    when 'registry_listed' then 'The do-not-call registry lists the number, and there is no consent.'
    when 'registry_check_old' then 'The number must be checked against the do-not-call registry again.'
    when 'no_time_zone'
        then 'The callee''s time zone cannot be told: state time_zone, by a name that this PostgreSQL knows.'
    when 'attempts_per_week' then 'The callee was tried as often as one week allows.'
    when 'attempts_per_day' then 'The callee was tried as often as one day allows.'
    when 'outside_window' then 'It is outside the calling hours at the callee''s.'
end;
