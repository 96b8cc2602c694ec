-- A call that we closed for want of knowledge: the one final status that a later word of the carrier may change.
create or replace function call_awaits_truth(status text, error_code text) returns boolean
language sql immutable parallel safe
return status = 'failed'
    and coalesce(error_code in ('no_call_sid', 'several_candidates', 'unknown_to_carrier', 'superseded', 'odd_row'),
                 false);
