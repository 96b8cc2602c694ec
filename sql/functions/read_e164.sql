-- The phone number in E.164 that a text means, or NULL where that is not certain.  The text begins with a plus, and
-- has spaces, hyphens or a pair of parentheses between its digits.  outbound/formats/phone_numbers.py reads more,
-- and nothing that is read here in another way.
create or replace function read_e164(written text) returns text
language sql stable
as $$
    select number
      from (select regexp_replace($1, '[ ()-]', '', 'g') as number
             where $1 ~ '^\+([0-9]{1,3}[ -]?)?(\([0-9]{1,4}\)[ -]?)?[0-9]+([ -][0-9]+)*$'
                   and length($1) <= 40) as plain
     cross join lateral number_place(number) as place
     where number ~ '^\+[1-9][0-9]{8,14}$'
       and number !~ '([0-9])\1{5}$'  -- what forms hold where nobody gave a number
       and is_number_shape(substr(number, 2))
       and place.kind not in ('unknown', 'never', 'voicemail')
$$;
