-- A call that is deleted leaves the hash of its number to its batch.  A person who asked to be forgotten is on another list.
create or replace function call_log_keeps_reached() returns trigger
language plpgsql as $$
begin
    insert into batch_reached (batch_id, hash)
    select distinct batch.id, person_hash(gone.to_number)
      from gone
     inner join batch on batch.id = gone.batch_id
     where not is_forgotten(gone.to_number)
        on conflict do nothing;
    return null;
end
$$;
