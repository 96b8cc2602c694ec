-- callee_zone.sql: the zones of numbers.  Read by outbound/callee_zone.py alone.

-- name: every_prefix()
-- Returns  the first digits of numbers and their zones; the longest prefix that fits decides, as in callee_zones
select prefix, zones from phone_zone;
