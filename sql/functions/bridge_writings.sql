-- Each way in which a number may stand in the old tables: E.164 with and without its plus, and as people of the region
-- write it.  A list, and not an expression of the old column, so that its index is used.
create or replace function bridge_writings(phone text, region text) returns text[]
language plpgsql stable parallel safe
as $$
declare
    code text;
    formats jsonb;
    digits text;
    groups text[];
    prefix text;
    rest text;
    writings text[] := array[phone, substr(phone, 2), '00' || substr(phone, 2)];
begin
    select known.code, known.formats into code, formats from bridge_region as known where known.region = $2;
    if code is null or not starts_with(phone, '+' || code) then
        return writings;
    end if;
    digits := substr(phone, length(code) + 2);
    for place in 0..jsonb_array_length(formats) - 1 loop
        if digits ~ (formats -> place ->> 0) and digits ~ (formats -> place ->> 1) then
            groups := regexp_match(digits, formats -> place ->> 1);
            prefix := formats -> place ->> 2;
            exit;
        end if;
    end loop;
    rest := array_to_string(groups[2:], '');
    return writings || array[
        prefix || digits, prefix || array_to_string(groups, '-'), prefix || groups[1] || '-' || rest,
        prefix || array_to_string(groups, ' '), prefix || groups[1] || ' ' || rest, prefix || array_to_string(groups, '.'),
        '(' || prefix || groups[1] || ') ' || array_to_string(groups[2:], '-'),
        '+' || code || '-' || array_to_string(groups, '-'), '+' || code || '-' || groups[1] || '-' || rest,
        '+' || code || ' ' || array_to_string(groups, '-'), '+' || code || ' ' || groups[1] || '-' || rest,
        '+' || code || ' ' || array_to_string(groups, ' '), '+' || code || '-' || digits, '+' || code || ' ' || digits
    ];
end
$$;
