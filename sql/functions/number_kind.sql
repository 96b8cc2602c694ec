-- A letter of number_range in words.
create or replace function number_kind(letter text) returns text
language sql immutable parallel safe
return case letter
    when 'o' then 'ordinary'  -- landlines, mobiles, internet telephony, toll-free numbers
    when 'p' then 'premium'
    when 'c' then 'shared_cost'
    when 'r' then 'personal'
    when 'g' then 'pager'
    when 'v' then 'voicemail'
    when 'u' then 'uan'  -- a company's number, of no place
    when 's' then 'satellite'
    when 't' then 'test'  -- personal numbers, some of which Twilio's test credentials and the simulator know
    when 'x' then 'never'  -- begins like an emergency number or a call abroad, or is as short as a short code
    else 'unknown'  -- no number of the country's plan, or of no country
end;
