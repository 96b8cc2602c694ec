-- Is the carrier of this session the simulator?  Ours say so (pin_session); of others' the database knows.
create or replace function is_simulated() returns boolean
language sql stable
return coalesce(nullif(current_setting('outbound.carrier', true), '') = 'simulator', dials_by_simulator());
