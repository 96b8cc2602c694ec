-- Says what a call is after a report of the carrier's.  `is_news` where the report moves it to the status `reported`;
-- otherwise the report may still bring the call_sid, or when the call was answered.
create or replace function call_after_report(
    call call_log, reported text, is_news boolean, source text, occurred_at timestamptz, sip_code integer,
    ring_s float8, talk_s float8, lead_s float8, relook_s float8
) returns table (
    status text, dialed_at timestamptz, paused_at timestamptz, answered_at timestamptz, ended_at timestamptz,
    error_code text, error_message text, overdue_at timestamptz
)
language sql stable rows 1
as $$
    select case when $3 then $2 else $1.status end,
           -- The carrier knows a call that was never dialed here.
           case
               when $1.status in ('queued', 'claimed') then coalesce($1.dialed_at, $5, now()) else $1.dialed_at
           end,
           case when $1.status in ('queued', 'claimed') then null else $1.paused_at end,
           case
               when $2 = 'in-progress' and ($3 or $5 is not null) then least($1.answered_at, coalesce($5, now()))
               else $1.answered_at
           end,
           case when not $3 then $1.ended_at when call_status_rank($2) = 5 then coalesce($5, now()) end,
           case
               when not $3 then $1.error_code
               when $2 = 'failed' then coalesce('sip_' || $6::text, 'carrier_failed')
           end,
           case
               when not $3 and $1.call_sid is null and call_is_in_doubt($1.status, $1.error_code)
                   then 'Its call_sid came late, while another call held the number; its end is awaited.'
               when not $3 then $1.error_message
               when $2 = 'failed' then 'The carrier could not complete the call.'
           end,
           next_deadline($1, $2, $3, $4, $7, $8, $9, $10)
$$;
