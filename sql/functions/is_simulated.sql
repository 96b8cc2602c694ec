-- Is the carrier of this session the simulator?  Ours say so (pin_session); one that says nothing may ring phones.
create or replace function is_simulated() returns boolean
language sql stable
return coalesce(current_setting('outbound.carrier', true) = 'simulator', false);
