-- The first moment from `after` on at which every window is open in every zone, and stays open for `for_s` seconds.
-- NULL means closed: there is no opening within 15 days, no window, no zone, or a zone that this server does not know.
-- Open is what the clocks at the callee's show: an hour that they show twice is open twice, a skipped one is nobody's.
create or replace function next_opening(
    window_ids bigint[], zones text[], after timestamptz, for_s float8
) returns timestamptz
language sql stable parallel restricted
return case
    when not are_time_zones(zones) then null
    when is_surely_open(window_ids, zones, after, for_s) then after
    else first_opening(window_ids, zones, after, for_s)
end;
