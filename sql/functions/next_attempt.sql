-- The next attempt that the retry policy of an ended call has for it: its number, the first attempt, its from-number and
-- how long it waits.  The policy is that of the campaign, or else of the business.  The n-th end of its kind takes the n-th
-- wait; past the last one nobody is tried again.  No row: there is no next attempt.
create or replace function next_attempt(call call_log)
returns table (attempt integer, retry_of bigint, from_number text, wait interval)
language sql stable rows 1
as $$
    select next.attempt, next.retry_of, next.from_number, retry_step.wait
      from business
      left join campaign on campaign.id = $1.campaign_id
     cross join lateral (
           select least($1.attempt, 2147483646) + 1 as attempt, coalesce($1.retry_of, $1.id) as retry_of,
                  coalesce(campaign_from_number($1.campaign_id, $1.to_number, least($1.attempt, 2147483646) + 1),
                           $1.from_number) as from_number
     ) as next
     inner join retry_step
        on retry_step.ladder_id = coalesce(campaign.ladder_id, business.ladder_id)
       and retry_step.outcome = $1.status
       and retry_step.step = 1 + (select count(*)
                                    from call_log as earlier
                                   where (earlier.id = next.retry_of or earlier.retry_of = next.retry_of)
                                     and earlier.id <> $1.id
                                     and earlier.status = $1.status)
     where business.id = $1.business_id
       and $1.direction = 'outbound'
       and $1.hang_up is null  -- an operator wanted an end of it
       and coalesce($1.idempotency_key, '') not like 'recovered:%'  -- its row is lost: what is unknown is not dialed
       and coalesce(campaign.ends_at > now(), true)
       and next.from_number ~ '^\+[1-9][0-9]{6,14}$'  -- rows of the old system may hold anything
       and $1.to_number ~ '^\+[1-9][0-9]{6,14}$'
$$;
