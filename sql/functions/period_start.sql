-- When the hour, or the day, of a moment began by the clocks of a zone; by UTC where this server does not know it.
create or replace function period_start(period text, at timestamptz, zone text) returns timestamptz
language sql stable
return date_trunc(period, at, coalesce(present_zone(zone), 'UTC'));
