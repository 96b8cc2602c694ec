-- Why what is given of a callee (a JSON object of texts, or NULL) is refused, in a sentence; NULL where it is taken.
create or replace function contact_fault(contact jsonb, twiml text) returns text
language sql stable
as $$
    select case
               when count(*) > 50 then 'a contact has at most 50 fields'
               when bool_or(value is null) then 'each field of the contact must be text'
               when bool_or(length(value) > 1000 or length(name) > 100)
                   then 'a field of the contact must be text of 1000 characters at most, and its name of 100'
               when bool_or(name !~ '^[A-Za-z0-9_.\u05d0-\u05ea-]+( [A-Za-z0-9_.\u05d0-\u05ea-]+)*$')
                   then 'a field of the contact is named with letters (a to z, Hebrew), digits, single spaces and _ . -'
               when count(distinct lower(name)) < count(*)
                   then 'two fields of the contact have one name: upper and lower case do not count'
               when bool_or(has_unseen(value, true))
                   then 'a field of the contact holds a character that cannot be seen: leave it out'
               when octet_length($1::text) > 8192 then 'the contact''s fields have more than 8192 bytes in all'
               when $2 like '%{{%'
                    and length($2) + (length($2) - length(replace($2, '{{', ''))) / 2 * 6 * max(length(value)) > 4000
                   then 'with this contact''s fields the TwiML may have more than 4000 characters: give shorter ones'
           end
      from (select key as name, case when jsonb_typeof(field.value) = 'string' then field.value #>> '{}' end as value
              from jsonb_each($1) as field
             where field.value not in ('null', '""')) as given
$$;
