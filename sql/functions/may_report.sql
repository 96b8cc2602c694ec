-- May a report that names this call_sid and number speak of this call?  Only of its own call_sid, or of its number where
-- it has none yet; a callback of an outbound call names both.  A callback has to be signed for the account of its call,
-- and to come with a tag, except those of the version before.
create or replace function may_report(
    call call_log, call_sid text, to_number text, source text, is_untagged boolean, signed_for text[]
) returns boolean
language sql stable
return (call.call_sid = may_report.call_sid
        and (may_report.source <> 'callback' or call.direction = 'inbound')
        or coalesce(call.call_sid, may_report.call_sid) = may_report.call_sid
           and phone_key(coalesce(may_report.to_number, call.to_number)) is not distinct from phone_key(call.to_number))
    and (may_report.is_untagged is not true or takes_untagged(call.dialed_at))
    and (may_report.source <> 'callback' or coalesce(account_of_call(call), '') = any(may_report.signed_for));
