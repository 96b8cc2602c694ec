-- bridge.sql: what happens to our calls shows in the tables of the system before.  Read by outbound/adopt/bridge.py alone.
-- Triggers of call_log do the work, by the functions of migration 0028; here is what begins, ends and repeats it.

-- name: know_regions(regions)!
-- Keep how numbers are written in each country, for leads whose phone is written as people there do.
insert into bridge_region (region, code, formats)
select region, code, formats
  from jsonb_to_recordset(:regions::jsonb) as known (region text, code text, formats jsonb)
on conflict (region) do update set code = excluded.code, formats = excluded.formats;

-- name: make_bridge(old_schema)$
-- Begin, or begin again with the columns that the old tables have by now.
--
-- Undo     drop_bridge
select make_bridge(:old_schema);

-- name: drop_bridge()$
-- End it; what was written to the old tables stays there.
select drop_bridge();

-- name: waiting(batch_max, wait_s, wait_max_s)
-- What could not be written to the old tables: those that are to be tried again, whose last trial is longest ago.  Each
-- waits wait_s for each time that it was tried, wait_max_s at most.
--
-- Returns  kind and call
select kind, call_id
  from bridge_due
 where failed_at < now() - make_interval(secs => least(:wait_max_s, tries * :wait_s::float8))
 order by failed_at
 limit :batch_max;

-- name: write_again(kind, call_id)$
-- Returns  the SQLSTATE where it failed again; nothing where it is done
-- Races    a transaction that moves the call has locked its row, and writes its latest status; another host has locked
--          the entry: both are skipped
select bridge_write_again(:kind, :call_id);
