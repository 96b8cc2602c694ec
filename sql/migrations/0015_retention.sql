-- What ended when: so that the oldest calls are found, and let go, without a look at the others.
-- squawk-ignore-file require-concurrent-index-creation
-- depends: 0014_latency_buckets

create index if not exists call_log_ended on call_log (ended_at) where ended_at is not null;
