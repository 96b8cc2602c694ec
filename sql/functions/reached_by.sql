-- Has a call of this batch that is deleted by now reached this telephone?  A row where one has.
create or replace function reached_by(batch_id bigint, to_number text) returns setof batch_reached
language sql stable rows 1
as $$
    select * from batch_reached where batch_reached.batch_id = $1 and hash = person_hash($2)
$$;
