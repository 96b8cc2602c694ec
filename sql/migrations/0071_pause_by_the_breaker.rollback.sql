-- Only a function: nothing is lost.
-- Write the event of a campaign that is paused, by an operator or by the breaker; a trigger's.  What an operator writes of
-- it is for operators.
create or replace function event_of_pause() returns trigger
language plpgsql as $$
declare
    paused campaign;
    is_breaker constant boolean := cardinality(new.refused_calls) >= 5;
begin
    if tg_op = 'UPDATE' and old.state = 'paused' then
        return null;
    end if;
    select * into paused from campaign where id::text = new.key;
    if found and event_is_wanted(paused.business_id, 'campaign.paused') then
        perform write_event(paused.business_id, 'campaign.paused',
                            'evt_campaign_paused_' || paused.id || '_' || (extract(epoch from now()) * 1000)::bigint,
                            null,
                            jsonb_build_object('campaign_id', paused.id, 'campaign', paused.name,
                                               'by', case when is_breaker then 'breaker' else 'operator' end,
                                               'reason', case when is_breaker then new.state_reason end,
                                               'refused_calls', case when is_breaker then new.refused_calls end));
    end if;
    return null;
end
$$;

do $$
begin
    execute format('alter function event_of_pause() set search_path = %I, pg_temp', current_schema());
end
$$;
