-- Vacuum call_log by what changed, not by a fifth of its history; and leave room in its pages for updates.
-- depends: 0015_retention

alter table call_log set (
    fillfactor = 85,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0.01,
    autovacuum_analyze_threshold = 2000
);
