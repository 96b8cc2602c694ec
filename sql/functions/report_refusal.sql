-- Why a report that record_reports (events.sql) refused is of no call: there is none of this id, the account that signed
-- it is not its call's, it has no tag, or it names another call_sid or number.
create or replace function report_refusal(call_id bigint, source text, is_untagged boolean, signed_for text[])
returns text
language sql stable
as $$
    select case
               when call_log.id is null then 'unknown_call'
               when $2 = 'callback' and not coalesce(coalesce(account_of_call(call_log), '') = any($4), false)
                   then 'other_account'
               when $3 and not takes_untagged(dialed_at) then 'untagged'
               else 'other_call_sid'
           end
      from (values ($1)) as told (id)
      left join call_log on call_log.id = told.id
$$;
