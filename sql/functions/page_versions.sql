-- A text for each call and campaign that differs once what the page shows of it has changed.
create or replace function page_versions(call_ids bigint[], campaign_ids bigint[])
returns table (kind text, id bigint, version text)
language sql stable
as $$
    select 'call', call_log.id,
           md5(concat_ws('|', call_log.status, call_log.attempt, call_log.due_at, call_log.paused_at, call_log.hang_up,
                         call_log.call_sid, call_log.error_code, call_log.held_by, call_log.lead_id,
                         call_log.answered_by, call_log.duration_s, call_log.stopped_by,
                         (select max(call_event.id) from call_event where call_event.call_id = call_log.id)))
      from call_log
     where call_log.id = any(call_ids)
    union all
    select 'campaign', campaign.id,
           md5(concat_ws('|', to_jsonb(campaign), to_jsonb(control),
                         (select sum(spend.calls)
                            from spend
                           where spend.scope = 'campaign' and spend.key = campaign.id::text and spend.period = 'day'),
                         (select count(*)
                            from call_log
                           where call_log.campaign_id = campaign.id
                             and call_log.status in ('claimed', 'initiated', 'ringing', 'in-progress'))))
      from campaign
      left join dial_control as control on control.scope = 'campaign' and control.key = campaign.id::text
     where campaign.id = any(campaign_ids)
$$;
