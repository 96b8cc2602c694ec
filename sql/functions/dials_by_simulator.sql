-- Do the dispatchers of this database dial through the simulator?  Until one has said so, phones may ring.
create or replace function dials_by_simulator() returns boolean
language sql stable
return coalesce((select carrier = 'simulator' from identity where ended_at is null), false);
