-- How far a zone's clocks are ahead of UTC.
create or replace function clock_ahead(zone text, at timestamptz) returns interval
language sql stable parallel safe
return (at at time zone zone) - (at at time zone 'UTC');
