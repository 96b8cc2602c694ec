-- Only what this migration made goes, and no data unless the session says so: `outbound rollback` does, once asked.
do $$
declare
    theirs text;
    held record;
    rows_held bigint;
    losses text[] := '{}';
begin
    select string_agg(relname, ', ' order by relname) into theirs
      from pg_class
     inner join pg_namespace on pg_namespace.oid = relnamespace
     where nspname = current_schema()
       and relname in ('business', 'call_log', 'leads')
       and not exists (
           select from pg_attribute where attrelid = pg_class.oid and attname = 'id' and attidentity = 'd'
       );
    if theirs is not null then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = format('0020_set_aside is not rolled back: outbound did not make %s', theirs);
    end if;
    for held in
        select *
          from (values
                    ('call_set_aside', 'true'),
                    ('call_log', 'lead_tries <> 0')
               ) as listed (relation, condition)
         where current_setting('outbound.lose_rows', true) is distinct from 'on'
    loop
        begin
            execute format('lock table %I in share mode', held.relation);
            execute format('select count(*) from %I where %s', held.relation, held.condition) into rows_held;
        exception
            when undefined_table or undefined_column then
                rows_held := 0;
        end;
        if rows_held > 0 then
            losses := losses || format('%s rows of %s%s', rows_held, held.relation,
                                       ' where ' || nullif(held.condition, 'true'));
        end if;
    end loop;
    if losses <> '{}' then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = format('0020_set_aside is not rolled back: it would lose %s; '
                             '`outbound rollback` says all that would be lost and asks first',
                             array_to_string(losses, ', '));
    end if;
end
$$;

alter table call_log drop column if exists lead_tries;
create or replace function call_awaits_truth(status text, error_code text) returns boolean
language sql immutable parallel safe
return status = 'failed'
    and coalesce(error_code in ('no_call_sid', 'several_candidates', 'unknown_to_carrier', 'superseded'), false);
drop function if exists delete_call(bigint);
drop function if exists claim_fault(bigint, float8, float8);
drop function if exists set_aside(bigint, text, text, text);
drop function if exists fault_text(text, text, text);
drop function if exists is_of_a_row(text);
drop table if exists call_set_aside;
drop function if exists refusal_sentence(text, text);
create or replace function obstacle_sentence(code text) returns text
language sql immutable parallel safe
return case code
    when 'campaign_ended' then 'Its campaign has ended.'
    when 'suppressed' then 'The number is on a do-not-call list.'
    when 'no_consent' then 'The campaign demands consent, and none is on record or it has expired.'
    when 'registry_listed' then 'The do-not-call registry lists the number, and there is no consent.'
    when 'registry_check_old' then 'The number must be checked against the do-not-call registry again.'
    when 'no_time_zone'
        then 'There are calling hours, and the callee''s time zone cannot be told from the number: state time_zone.'
    when 'attempts_per_week' then 'The callee was tried as often as one week allows.'
    when 'attempts_per_day' then 'The callee was tried as often as one day allows.'
    when 'outside_window' then 'It is outside the calling hours at the callee''s.'
end;
create or replace function call_obstacle(call call_log, window_ids bigint[], zones text[], opening timestamptz)
returns table (code text, until timestamptz, is_final boolean)
language sql stable
as $$
    with rule as (
        select campaign.ends_at, campaign.consent_required, campaign.registry_max_age_days,
               retry_ladder.attempts_per_day_max, retry_ladder.attempts_per_week_max
          from business
          left join campaign on campaign.id = $1.campaign_id
          left join retry_ladder on retry_ladder.id = coalesce(campaign.ladder_id, business.ladder_id)
         where business.id = $1.business_id
    ), tried as (
        select (select dialed_at + interval '1 day'
                  from call_log
                 where business_id = $1.business_id and to_number = $1.to_number and direction = 'outbound'
                   and dialed_at > now() - interval '1 day' and id <> $1.id
                 order by dialed_at desc
                offset attempts_per_day_max - 1
                 limit 1) as day_until,
               (select dialed_at + interval '7 days'
                  from call_log
                 where business_id = $1.business_id and to_number = $1.to_number and direction = 'outbound'
                   and dialed_at > now() - interval '7 days' and id <> $1.id
                 order by dialed_at desc
                offset attempts_per_week_max - 1
                 limit 1) as week_until
          from rule
         where attempts_per_day_max is not null
    ), obstacle as materialized (  -- else its look-ups are done again wherever its code is mentioned
        select case
                   when ends_at <= now() then 'campaign_ended'
                   when is_suppressed($1.to_number, $1.business_id, $1.campaign_id) then 'suppressed'
                   when consent_required and not has_consent($1.business_id, $1.to_number) then 'no_consent'
                   when registry_check.is_listed and not has_consent($1.business_id, $1.to_number)
                       then 'registry_listed'
                   when registry_max_age_days is not null
                       and not coalesce(registry_check.checked_at
                                        > now() - make_interval(days => registry_max_age_days), false)
                       and not has_consent($1.business_id, $1.to_number)
                       then 'registry_check_old'
                   when $2 <> '{}' and $3 = '{}' then 'no_time_zone'
                   when week_until > now() then 'attempts_per_week'
                   when day_until > now() then 'attempts_per_day'
                   when $2 <> '{}' and coalesce($4 > now(), true) then 'outside_window'
               end as code,
               day_until, week_until
          from rule
          left join tried on true
          left join registry_check
            on registry_max_age_days is not null and registry_check.phone = $1.to_number
    )
    select code,
           case code
               when 'attempts_per_week' then week_until
               when 'attempts_per_day' then day_until
               when 'registry_check_old' then now() + interval '15 minutes'
               when 'outside_window' then coalesce($4, now() + interval '14 days')
           end,
           code in ('campaign_ended', 'suppressed', 'no_consent', 'registry_listed', 'no_time_zone')
      from obstacle
     where code is not null
$$;
create or replace function next_opening(
    window_ids bigint[], zones text[], after timestamptz, for_s float8
) returns timestamptz
language sql stable parallel safe
return case
    when is_surely_open(window_ids, zones, after, for_s) then after
    else first_opening(window_ids, zones, after, for_s)
end;
create or replace function callee_zones(to_number text, stated text) returns text[]
language sql stable parallel restricted
return case
    -- A zone that the server knew once and does not know any more is none: it must not stop everybody's claim.
    when stated is not null then case when is_time_zone(stated) then array[stated] else '{}' end
    else coalesce((select phone_zone.zones
                     from phone_zone
                    where prefix = any(array[substr(to_number, 2, 1), substr(to_number, 2, 2), substr(to_number, 2, 3),
                                             substr(to_number, 2, 4), substr(to_number, 2, 5), substr(to_number, 2, 6),
                                             substr(to_number, 2, 7), substr(to_number, 2, 8), substr(to_number, 2, 9)])
                    order by length(prefix) desc
                    limit 1), '{}')
end;
drop trigger if exists business_zone on business;
drop function if exists business_zone();
drop trigger if exists call_log_zone on call_log;
drop function if exists call_log_zone();
alter table call_log drop constraint if exists call_log_time_zone;
do $$
begin
    alter table call_log add constraint call_log_time_zone
        check (
            time_zone is null or timestamp '2000-01-01' at time zone time_zone is not null
        );
exception
    when invalid_parameter_value then
        -- A call that has ended has a zone that this server does not know: it stays as it is.
        alter table call_log add constraint call_log_time_zone
        check (
            time_zone is null or timestamp '2000-01-01' at time zone time_zone is not null
        ) not valid;
end
$$;
drop function if exists present_zone(text);
drop function if exists are_time_zones(text[]);
create or replace function is_time_zone(name text) returns boolean
language plpgsql stable strict parallel restricted
as $$
begin
    return now() at time zone name is not null;
exception
    when invalid_parameter_value then
        return false;
end
$$;
drop table if exists former_zone;
