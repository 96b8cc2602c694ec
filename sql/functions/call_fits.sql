-- Is a call one of those that a search asks for?  NULL asks for all.
create or replace function call_fits(
    call call_log, with_statuses text[], in_business bigint, in_campaign bigint, with_error text, with_answerer text,
    in_batch bigint
) returns boolean
language sql immutable
return (with_statuses is null or call.status = any(with_statuses))
    and (in_business is null or call.business_id = in_business)
    and (in_campaign is null or call.campaign_id = in_campaign)
    and (with_error is null or call.error_code = with_error)
    and (with_answerer is null or call.answered_by = with_answerer)
    and (in_batch is null or call.batch_id = in_batch);
