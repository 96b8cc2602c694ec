-- The reports of a JSON array, as record_reports (events.sql) takes them.  `reported` is the status that counts: a word that
-- no carrier may say of its call (an unknown one, or one of our queue) `is_strange` and counts as `initiated`.
create or replace function read_reports(reports jsonb)
returns table (
    call_id bigint, call_sid text, to_number text, status text, source text, sequence_number integer,
    occurred_at timestamptz, duration_s integer, answered_by text, sip_code integer, payload jsonb, is_untagged boolean,
    signed_for text[], is_strange boolean, reported text
)
language sql stable
as $$
    select told.*, rank.is_strange, case when rank.is_strange then 'initiated' else told.status end
      from jsonb_to_recordset($1)
        as told (call_id bigint, call_sid text, to_number text, status text, source text, sequence_number integer,
                 occurred_at timestamptz, duration_s integer, answered_by text, sip_code integer, payload jsonb,
                 is_untagged boolean, signed_for text[])
     cross join lateral (select coalesce(call_status_rank(told.status), 0) < 2 as is_strange) as rank
$$;
