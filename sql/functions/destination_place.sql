-- What a destination opens is known when it is written: a claim must not read all that lies under +1.
create or replace function destination_place() returns trigger
language plpgsql as $$
begin
    select at.kind, at.digits into new.kind, new.digits from destination_at(new.place) as at;
    if not found or new.kind = 'never' and new.allowed then
        raise check_violation using message = format('%s is no destination: no number there may be dialed', new.place);
    end if;
    return new;
end
$$;
