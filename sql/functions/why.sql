-- Why a call is not being dialed, as JSON, where outbound's settings have their defaults: `code`, `sentence`,
-- `until` and `details`.  What stops all dialing comes before the call's own reasons, once it waits to be dialed.
create or replace function why(call_id bigint) returns jsonb
language sql stable
as $$
    with own as (
        select code, sentence, until, details from why_not_dialed($1)
    ), stop as (
        select 'stopped_' || cause as code,
               reason || ' Nothing is dialed since ' || moment_text(since) || '.' as sentence,
               null::timestamptz as until, jsonb_build_object('since', since) as details
          from dialing_stop
         where (select code from own) not in ('unknown_call', 'ended', 'in_the_air', 'claimed')
         order by cause desc
         limit 1
    )
    select jsonb_build_object('code', code, 'sentence', sentence, 'until', until, 'details', details)
      from (select code, sentence, until, details from stop
            union all
            select code, sentence, until, details from own where not exists (select from stop)) as reason
$$;
