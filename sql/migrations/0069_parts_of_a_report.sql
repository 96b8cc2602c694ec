-- What a report decides beside its call's status is four functions, each of which can be asked alone.
-- depends: 0068_parts_of_the_claim

-- Does a report of the carrier's move a call forward?  A call that we closed for want of knowledge is moved by a later
-- word, too: to its true end, but to a live status only where no other live call holds the number.
create or replace function report_is_news(call call_log, reported text) returns boolean
language plpgsql stable
as $$
begin
    if call_status_rank(reported) > call_status_rank(call.status) then
        return true;
    end if;
    if not call_awaits_truth(call.status, call.error_code) then
        return false;
    end if;
    return call_status_rank(reported) = 5
        or not exists (select from live_call(call.business_id, call.to_number) as other where other.id <> call.id);
end
$$;

comment on function report_is_news(call_log, text) is
    'Does a report of the carrier''s move a call forward?';

-- Is the lead of a call due after a report?  `call` is as it was before, `status` what it is now.  Once: a call that ends
-- after it was answered had its nudge then.
create or replace function report_makes_lead_due(call call_log, status text, is_news boolean) returns boolean
language sql immutable
as $$
    select $1.lead_id is null and $2 not in ('initiated', 'ringing') and not ($3 and $1.status = 'in-progress')
$$;

comment on function report_makes_lead_due(call_log, text, boolean) is
    'Is the lead of a call due after a report that left it in this status?';

-- The rows of `counter` that the first word of a call adds to: how long the carrier took to answer the dial, or the
-- callback to come.
create or replace function seconds_of_report(source text, dialed_at timestamptz, occurred_at timestamptz)
returns table (name text, label text, value bigint)
language sql stable
as $$
    select counted.name, counted.label, counted.value
      from (values ('create', 'dial_seconds', $2), ('callback', 'callback_lag_seconds', $3))
        as timed (source, name, began_at)
     cross join lateral seconds_counted(timed.name, extract(epoch from now() - timed.began_at)::float8) as counted
     where timed.source = $1
$$;

comment on function seconds_of_report(text, timestamptz, timestamptz) is
    'The rows of counter that the first word of a call adds to.';

-- The carrier took these calls: nothing of their scopes is refused or in trouble in a row any more (record_refusal and
-- record_trouble in dial.sql count that).  They are locked in one order, as others end the troubles of the same ones.
create or replace function end_troubles(calls call_log[]) returns void
language plpgsql
as $$
begin
    update dial_control
       set refused_calls = '{}', troubles = 0, carrier_holds = 0, carrier_hold_until = null
      from (select scope, key
              from dial_control
             where (scope, key) in (
                       select own.scope, own.key
                         from unnest(calls) as call
                        cross join lateral (
                              values ('account', case when call.carrier_account is null then '' end),
                                     ('business', call.business_id::text), ('campaign', call.campaign_id::text),
                                     ('number', call.from_number)
                        ) as own (scope, key)
                   )
               and (refused_calls <> '{}' or troubles <> 0)
             order by scope, key
               for update) as troubled
     where dial_control.scope = troubled.scope and dial_control.key = troubled.key;
end
$$;

comment on function end_troubles(call_log[]) is
    'The carrier took these calls: nothing of their scopes is refused or in trouble in a row any more.';
