-- Until when the next word about a call is waited for, after a report of the carrier's.  `is_news` where the report moves
-- it to the status `reported`.  In the air, that is until it must have rung or been talked out; ended, until its lead must
-- have been made; closed without knowledge, as long as it is worth asking.
create or replace function next_deadline(
    call call_log, reported text, is_news boolean, source text, ring_s float8, talk_s float8, lead_s float8,
    relook_s float8
) returns timestamptz
language sql stable
return case
    when not is_news and call_is_in_doubt(call.status, call.error_code)
        then case
            when call.call_sid is null then now() + make_interval(secs => ring_s)
            when source = 'lookup' then now() + make_interval(secs => relook_s)
            else call.overdue_at
        end
    when call_status_rank(case when is_news then reported else call.status end) = 5
        then case
            when call.lead_id is not null then null
            when is_news or call.call_sid is null then now() + make_interval(secs => lead_s)
            else call.overdue_at
        end
    when is_news and reported = 'in-progress' then now() + make_interval(secs => talk_s)
    when is_news or call.call_sid is null then now() + make_interval(secs => ring_s)
    when source = 'lookup' then now() + make_interval(secs => relook_s)
    else call.overdue_at
end;
