-- Sessions of the page, and how many calls were answered in each period.
-- depends: 0049_webhooks

do $$
begin
    -- Asked for again and again: behind a lock that is waited for, everybody waits.
    for attempt in 1..100 loop
        begin
            perform set_config('lock_timeout', '500ms', true);
            lock table api_token in share row exclusive mode;
            lock table spend in access exclusive mode;
            exit;
        exception
            when lock_not_available or deadlock_detected then
                if attempt = 100 then
                    raise;
                end if;
                perform pg_sleep(0.1);
        end;
    end loop;
    create table if not exists page_session (
        secret_sha256 bytea primary key check (octet_length(secret_sha256) = 32),
        token_id      bigint not null references api_token (id) on delete cascade,
        created_at    timestamptz not null default now(),
        expires_at    timestamptz not null
    );
    create index if not exists page_session_token on page_session (token_id);
    create index if not exists page_session_age on page_session (expires_at);
    alter table spend add column if not exists answered bigint not null default 0;
end
$$;

comment on table page_session is 'Browsers that are signed in to the page. Written by it, deleted after expires_at.';
comment on column page_session.secret_sha256 is 'SHA-256 of what the cookie holds.';
comment on column page_session.token_id is 'The token that was shown; the session may do as much and ends with it.';
comment on column page_session.created_at is 'When somebody signed in.';
comment on column page_session.expires_at is 'When the session ends, 12 hours after that.';
comment on column spend.answered is 'Of these calls, those that were answered, by a person or a machine.';

-- Is the lane paused, by itself or with a scope that it lies in, or is its campaign not to begin yet?
create or replace function lane_is_stopped(of_business bigint, of_campaign bigint, of_number text) returns boolean
language sql stable
as $$
    select exists (select from campaign where id = of_campaign and starts_at > now())
        or exists (select
                     from dial_control
                    where state <> 'running'
                      and (scope, key) in (
                              ('account', ''),
                              ('business', of_business::text),
                              ('campaign', coalesce(nullif(of_campaign, 0)::text, 'of business ' || of_business)),
                              ('number', of_number)
                          ))
$$;

-- What waits, of a business or (null) of all: due, due and stopped, due later; of each at most counted_max
-- calls are counted.
create or replace function page_queue(in_business bigint, counted_max integer)
returns table (due bigint, first_due_at timestamptz, stopped bigint, later bigint, next_at timestamptz)
language sql stable
as $$
    with own_lane as materialized (
        select lane.*, lane_is_stopped(lane.business_id, lane.campaign_id, lane.from_number) as is_stopped
          from lane
         where in_business is null or lane.business_id = in_business
    ), past as materialized (
        select own_lane.is_stopped, waiting.due_at
          from own_lane
         cross join lateral (
               select call_log.due_at
                 from call_log
                where call_log.business_id = own_lane.business_id
                  and coalesce(call_log.campaign_id, 0) = own_lane.campaign_id
                  and call_log.from_number = own_lane.from_number
                  and call_log.status = 'queued'
                  and call_log.paused_at is null
                  and call_log.due_at <= now()
                order by call_log.due_at
                limit counted_max
         ) as waiting
         limit counted_max
    ), future as materialized (
        select waiting.due_at
          from own_lane
         cross join lateral (
               select call_log.due_at
                 from call_log
                where call_log.business_id = own_lane.business_id
                  and coalesce(call_log.campaign_id, 0) = own_lane.campaign_id
                  and call_log.from_number = own_lane.from_number
                  and call_log.status = 'queued'
                  and call_log.paused_at is null
                  and call_log.due_at > now()
                order by call_log.due_at
                limit counted_max
         ) as waiting
         limit counted_max
    )
    select (select count(*) from past where not is_stopped),
           (select min(due_at) from past where not is_stopped),
           (select count(*) from past where is_stopped),
           (select count(*) from future),
           (select min(due_at) from future)
$$;

-- The calls that are claimed or at the carrier, of a business or (null) of all: how many by status, how many have no
-- call_sid yet and since when, and how many calls a second were begun in the last 10 s.
create or replace function page_live(in_business bigint)
returns table (calls jsonb, unbound bigint, unbound_since timestamptz, begun_per_s numeric)
language sql stable
as $$
    with live as materialized (
        select status, call_sid, dialed_at
          from call_log
         where status in ('claimed', 'initiated', 'ringing', 'in-progress')
           and direction = 'outbound'
           and (in_business is null or business_id = in_business)
    )
    select (select coalesce(jsonb_object_agg(status, number), '{}')
              from (select status, count(*) as number from live group by status) as by_status),
           count(*) filter (where status <> 'claimed' and call_sid is null),
           min(dialed_at) filter (where status <> 'claimed' and call_sid is null),
           (count(*) filter (where dialed_at > now() - interval '10 s')
            + (select count(*)
                 from call_log
                where ended_at > now() - interval '10 s'
                  and dialed_at > now() - interval '10 s'
                  and direction = 'outbound'
                  and (in_business is null or business_id = in_business))) / 10.0
      from live
$$;

-- What is paused, of a business or (null) of all, the latest first: who did it, why, and was it the breaker.
create or replace function page_pauses(in_business bigint, rows_max integer)
returns table (scope text, key text, name text, since timestamptz, who text, reason text, is_breaker boolean)
language sql stable
as $$
    select paused.scope, paused.key,
           case paused.scope
               when 'business' then (select business.name from business where business.id::text = paused.key)
               when 'campaign' then (select campaign.name from campaign where campaign.id::text = paused.key)
           end,
           paused.state_since, mover.who, mover.reason, paused.refused_calls <> '{}'
      from (select *
              from dial_control
             where state <> 'running'
               and (in_business is null or scope_business(dial_control.scope, dial_control.key) = in_business)
             order by state_since desc, dial_control.scope, dial_control.key
             limit rows_max) as paused
     cross join lateral last_pause(paused.scope, paused.key, paused.state_since, paused.state_reason) as mover
     order by paused.state_since desc, paused.scope, paused.key
$$;

-- The calls that ended in the last hour, of a business or (null) of all, by how many minutes ago: each with its number,
-- how many were answered and how many failed.
create or replace function page_minutes(in_business bigint)
returns table (minutes_ago integer, ended bigint, answered bigint, failed bigint)
language sql stable
as $$
    select floor(extract(epoch from now() - ended_at) / 60)::integer, count(*),
           count(*) filter (where answered_at is not null), count(*) filter (where status = 'failed')
      from call_log
     where ended_at > now() - interval '1 hour'
       and ended_at <= now()
       and direction = 'outbound'
       and dialed_at is not null
       and (in_business is null or business_id = in_business)
     group by 1
     order by 1
$$;

-- The campaigns that have calls in the queue, and the newest others: what each has done in the last 40 days and what
-- waits, counted_max calls of it at most, by what holds it.  Of a business, or (null) of all.
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
                  coalesce(jsonb_object_agg(reason.code, reason.calls) filter (where reason.code is not null), '{}')
                  as held
             from (select coalesce(counted.held_by, case when counted.due_at > now() then 'not_due' end) as code,
                          count(*) as calls
                     from (select call_log.held_by, call_log.due_at
                             from call_log
                            where call_log.campaign_id = shown.id and call_log.status = 'queued' and shown.has_queue
                            limit counted_max) as counted
                    group by 1) as reason
     ) as queue
     order by shown.has_queue desc, shown.id desc
$$;

-- The latest calls of a business or (null) of all: those at the carrier, the last begun first, then those that ended.
create or replace function page_latest(in_business bigint, rows_max integer)
returns table (
    id bigint, to_number text, from_number text, status text, error_code text, attempt integer, at timestamptz,
    is_live boolean
)
language sql stable
as $$
    (select call_log.id, call_log.to_number, call_log.from_number, call_log.status, call_log.error_code,
            call_log.attempt, coalesce(call_log.answered_at, call_log.dialed_at, call_log.created_at), true
       from call_log
      where call_log.status in ('initiated', 'ringing', 'in-progress')
        and call_log.direction = 'outbound'
        and (in_business is null or call_log.business_id = in_business)
      order by call_log.dialed_at desc nulls last, call_log.id desc
      limit rows_max)
    union all
    (select call_log.id, call_log.to_number, call_log.from_number, call_log.status, call_log.error_code,
            call_log.attempt, call_log.ended_at, false
       from call_log
      where call_log.ended_at is not null
        and call_log.ended_at > now() - interval '1 hour'
        and (in_business is null or call_log.business_id = in_business)
      order by call_log.ended_at desc
      limit rows_max)
    limit rows_max
$$;

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

comment on function lane_is_stopped(bigint, bigint, text) is
'Is the lane paused, alone or with a scope that it lies in, or does its campaign start later?';
comment on function page_queue(bigint, integer) is
'What waits, for the page: due, stopped, later; of each a bounded number of calls is counted.';
comment on function page_live(bigint) is
'Calls that are claimed or at the carrier, by status, for the page.';
comment on function page_pauses(bigint, integer) is
'Scopes that are paused, and by whom, for the page.';
comment on function page_minutes(bigint) is
'Calls that ended in the last hour by how many minutes ago, for the page.';
comment on function page_campaigns(bigint, integer, integer) is
'Campaigns with their progress, for the page.';
comment on function page_latest(bigint, integer) is
'The latest calls, for the page.';
comment on function page_versions(bigint[], bigint[]) is
'What the page compares to see whether a call or a campaign has changed.';
