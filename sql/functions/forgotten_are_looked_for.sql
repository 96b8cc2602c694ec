-- Looked at once for a statement: while nobody was forgotten, a row costs a comparison.
create or replace function forgotten_are_looked_for() returns trigger
language plpgsql as $$
begin
    perform set_config('outbound.some_forgotten', case when exists (select from forgotten) then 'yes' else 'no' end, true);
    return null;
end
$$;
