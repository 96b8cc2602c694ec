-- Now says what waiting calls wait for as a campaign's own screen does: a call that is due waits for its turn alone, and
-- one that is paused for its operator, whatever held it before.
-- depends: 0054_name_of_to_number

create or replace function waits_for(paused_at timestamptz, due_at timestamptz, held_by text) returns text
language sql stable
as $$
    select case
               when $1 is not null then 'paused'
               when $2 > now() then coalesce($3, 'not_due')
               else 'due'
           end
$$;

comment on function waits_for is
    'What a queued call waits for: paused, due, not_due, or what held it last';

create or replace function page_campaigns(in_business bigint, rows_max integer, counted_max integer)
returns table (
    id bigint, name text, business_id bigint, business text, state text, starts_at timestamptz, time_zone text,
    done bigint, answered bigint, waiting bigint, held jsonb
)
language sql stable
as $$
    with queued as materialized (
        select distinct lane.campaign_id as id
          from lane
         where lane.campaign_id > 0 and (in_business is null or lane.business_id = in_business)
    ), shown as materialized (
        select campaign.*, queued.id is not null as has_queue
          from campaign
          left join queued on queued.id = campaign.id
         where in_business is null or campaign.business_id = in_business
         order by queued.id is not null desc, campaign.id desc
         limit rows_max
    )
    select shown.id, shown.name, shown.business_id, business.name, coalesce(control.state, 'running'), shown.starts_at,
           business.time_zone, past.done, past.answered, queue.waiting, queue.held
      from shown
     inner join business on business.id = shown.business_id
      left join dial_control as control on control.scope = 'campaign' and control.key = shown.id::text
     cross join lateral (
           select coalesce(sum(spend.calls), 0)::bigint as done, coalesce(sum(spend.answered), 0)::bigint as answered
             from spend
            where spend.scope = 'campaign' and spend.key = shown.id::text and spend.period = 'day'
     ) as past
     cross join lateral (
           select coalesce(sum(reason.calls), 0)::bigint as waiting,
                  coalesce(jsonb_object_agg(reason.code, reason.calls) filter (where reason.code <> 'due'), '{}')
                  as held
             from (select counted.code, count(*) as calls
                     from (select waits_for(call_log.paused_at, call_log.due_at, call_log.held_by) as code
                             from call_log
                            where call_log.campaign_id = shown.id and call_log.status = 'queued' and shown.has_queue
                            limit counted_max) as counted
                    group by 1) as reason
     ) as queue
     order by shown.has_queue desc, shown.id desc
$$;
