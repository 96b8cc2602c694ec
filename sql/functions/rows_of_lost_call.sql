-- The rows that could be this call of the carrier's, which the database has forgotten: their numbers are the same and they
-- have no call_sid; and they were dialed at that moment, or were due by then, or are a next attempt that was written since
-- dialing stopped: since then nothing was dialed here, so the carrier's call was made before.  A call that waited may have
-- become due earlier (other hours, a check).  No row while dialing was not stopped.
create or replace function rows_of_lost_call(
    from_number text, to_number text, created_at timestamptz, early_s float8, late_s float8
) returns setof call_log
language sql stable rows 1
as $$
    select own.*
      from business
     cross join (select since from dialing_stop where cause = 'recovery') as stop
     cross join lateral (
           select * from live_call(business.id, $2)
            union
           select *
             from call_log
            where call_log.business_id = business.id
              and phone_key(call_log.to_number) = phone_key($2)
              and direction = 'outbound'
              and dialed_at is not null
              and call_awaits_truth(status, error_code)
     ) as own
     where own.from_number = $1
       and own.call_sid is null
       and case
               when own.status not in ('queued', 'claimed')
                   then $3 between own.dialed_at - make_interval(secs => early_s)
                               and own.dialed_at + make_interval(secs => late_s)
               when own.retry_of is not null and own.created_at >= stop.since then true
               else greatest(case when own.held_by is null then own.due_at end, own.created_at)
                    <= $3 + make_interval(secs => late_s)
           end
$$;
