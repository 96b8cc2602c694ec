-- enqueue_calls keeps the plans of what it runs, which were made for each call that an application put in the queue.
-- depends: 0061_person_is_found_fast

alter function enqueue_calls(jsonb, bigint, bigint) set plan_cache_mode = force_generic_plan;
