-- event.sql: events that no single change of a row makes true.  Read by outbound/webhooks/event.py alone.

-- name: write_campaigns_done()$
-- Write the event of each campaign whose last call has ended, once for each such end; more calls may be queued later.
--
-- Returns  how many campaigns that are
-- Races    two schedulers: the public id of the event holds the id of the last call, and one of them writes it
with wanting as materialized (
    select business.id, min(endpoint.created_at) as since
      from business
     inner join webhook_endpoint as endpoint on endpoint.business_id is null or endpoint.business_id = business.id
     where endpoint_wants(endpoint.event_types, 'campaign.done')
     group by business.id
    union all
    select business.id, now() - interval '1 hour'
      from business
     inner join event_reader on event_reader.business_id is null or event_reader.business_id = business.id
     where wanted_until > now()
), ended as materialized (
    select campaign.id, campaign.name, campaign.business_id, last.id as call_id,
           row_number() over (partition by campaign.id order by last.ended_at desc, last.id desc) as place
      from wanting
     inner join campaign on campaign.business_id = wanting.id
     cross join (values ('completed'), ('busy'), ('no-answer'), ('failed'), ('canceled')) as final (status)
     cross join lateral (
           select ended.id, ended.at as ended_at
             from ended_in_campaign(campaign.id, final.status, greatest(wanting.since, now() - interval '1 day'),
                                    'infinity', 0, 1) as ended
     ) as last
), done as (
    select ended.*
      from ended
     where place = 1
       and not exists (select
                         from call_log
                        where call_log.campaign_id = ended.id
                          and status in ('queued', 'claimed', 'initiated', 'ringing', 'in-progress'))
       and not exists (select
                         from event_log
                        where public_id = 'evt_campaign_done_' || ended.id || '_' || ended.call_id)
), written as (
    select write_event(business_id, 'campaign.done', 'evt_campaign_done_' || id || '_' || call_id, null,
                       jsonb_build_object('campaign_id', id, 'campaign', name, 'last_call_id', call_id)) as nothing
      from done
)
select count(*) from written;
