-- Only how it is planned: nothing is lost.
alter function enqueue_calls(jsonb, bigint, bigint) reset plan_cache_mode;
