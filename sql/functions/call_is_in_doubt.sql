-- A call that we closed for want of knowledge, whose end the carrier may still tell us when asked: nobody could answer
-- before it was closed, or it was adopted while another live call held its number.  It has a deadline as long as it is
-- worth asking.
create or replace function call_is_in_doubt(status text, error_code text) returns boolean
language sql immutable parallel safe
return status = 'failed' and coalesce(error_code in ('no_call_sid', 'several_candidates'), false);
