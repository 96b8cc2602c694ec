-- callee_zone.sql: the zones of numbers.  Read by outbound/rules/callee_zone.py alone.

-- name: zones_of(number)$
-- Returns  the zones in which a number in E.164 may be
select callee_zones(:number, null);

-- name: every_prefix()
-- Returns  the first digits of numbers and their zones; the longest prefix that fits decides, as in callee_zones
select prefix, zones from phone_zone;
