-- A row that raises stops only itself: it is set aside.  Whether a server knows a time zone is asked when it comes in alone.
-- squawk-ignore-file ban-drop-constraint, adding-foreign-key-constraint
-- depends: 0019_dialing_stop

-- Former names of time zones and their present ones: tzdata's `backward` links, by the names of its zone.tab; a test
-- compares them.  Debian 13, for one, keeps the former names in a package of their own, which few servers have.
create table if not exists former_zone (
    name    text primary key,
    present text not null
);

insert into former_zone (name, present)
select unnest(string_to_array(listed.former, ' ')), listed.present
  from (values
           ('Africa/Asmara', 'Africa/Asmera'),
           ('Africa/Bamako', 'Africa/Timbuktu'),
           ('Africa/Cairo', 'Egypt'),
           ('Africa/Tripoli', 'Libya'),
           ('America/Adak', 'America/Atka US/Aleutian'),
           ('America/Anchorage', 'US/Alaska'),
           ('America/Argentina/Buenos_Aires', 'America/Buenos_Aires'),
           ('America/Argentina/Catamarca', 'America/Argentina/ComodRivadavia America/Catamarca'),
           ('America/Argentina/Cordoba', 'America/Cordoba America/Rosario'),
           ('America/Argentina/Jujuy', 'America/Jujuy'),
           ('America/Argentina/Mendoza', 'America/Mendoza'),
           ('America/Atikokan', 'America/Coral_Harbour'),
           ('America/Chicago', 'US/Central'),
           ('America/Denver', 'America/Shiprock Navajo US/Mountain'),
           ('America/Detroit', 'US/Michigan'),
           ('America/Edmonton', 'America/Yellowknife Canada/Mountain'),
           ('America/Halifax', 'Canada/Atlantic'),
           ('America/Havana', 'Cuba'),
           ('America/Indiana/Indianapolis', 'America/Fort_Wayne America/Indianapolis US/East-Indiana'),
           ('America/Indiana/Knox', 'America/Knox_IN US/Indiana-Starke'),
           ('America/Iqaluit', 'America/Pangnirtung'),
           ('America/Jamaica', 'Jamaica'),
           ('America/Kentucky/Louisville', 'America/Louisville'),
           ('America/Los_Angeles', 'US/Pacific US/Pacific-New'),
           ('America/Manaus', 'Brazil/West'),
           ('America/Mazatlan', 'Mexico/BajaSur'),
           ('America/Mexico_City', 'Mexico/General'),
           ('America/New_York', 'US/Eastern'),
           ('America/Noronha', 'Brazil/DeNoronha'),
           ('America/Nuuk', 'America/Godthab'),
           ('America/Phoenix', 'US/Arizona'),
           ('America/Regina', 'Canada/East-Saskatchewan Canada/Saskatchewan'),
           ('America/Rio_Branco', 'America/Porto_Acre Brazil/Acre'),
           ('America/Santiago', 'Chile/Continental'),
           ('America/Sao_Paulo', 'Brazil/East'),
           ('America/St_Johns', 'Canada/Newfoundland'),
           ('America/St_Thomas', 'America/Virgin'),
           ('America/Tijuana', 'America/Ensenada America/Santa_Isabel Mexico/BajaNorte'),
           ('America/Toronto', 'America/Montreal America/Nipigon America/Thunder_Bay Canada/Eastern'),
           ('America/Vancouver', 'Canada/Pacific'),
           ('America/Whitehorse', 'Canada/Yukon'),
           ('America/Winnipeg', 'America/Rainy_River Canada/Central'),
           ('Antarctica/McMurdo', 'Antarctica/South_Pole'),
           ('Asia/Ashgabat', 'Asia/Ashkhabad'),
           ('Asia/Dhaka', 'Asia/Dacca'),
           ('Asia/Ho_Chi_Minh', 'Asia/Saigon'),
           ('Asia/Hong_Kong', 'Hongkong'),
           ('Asia/Jerusalem', 'Asia/Tel_Aviv Israel'),
           ('Asia/Kathmandu', 'Asia/Katmandu'),
           ('Asia/Kolkata', 'Asia/Calcutta'),
           ('Asia/Macau', 'Asia/Macao'),
           ('Asia/Makassar', 'Asia/Ujung_Pandang'),
           ('Asia/Nicosia', 'Europe/Nicosia'),
           ('Asia/Seoul', 'ROK'),
           ('Asia/Shanghai', 'Asia/Chongqing Asia/Chungking Asia/Harbin PRC'),
           ('Asia/Singapore', 'Singapore'),
           ('Asia/Taipei', 'ROC'),
           ('Asia/Tehran', 'Iran'),
           ('Asia/Thimphu', 'Asia/Thimbu'),
           ('Asia/Tokyo', 'Japan'),
           ('Asia/Ulaanbaatar', 'Asia/Choibalsan Asia/Ulan_Bator'),
           ('Asia/Urumqi', 'Asia/Kashgar'),
           ('Asia/Yangon', 'Asia/Rangoon'),
           ('Atlantic/Faroe', 'Atlantic/Faeroe'),
           ('Atlantic/Reykjavik', 'Iceland'),
           ('Australia/Adelaide', 'Australia/South'),
           ('Australia/Brisbane', 'Australia/Queensland'),
           ('Australia/Broken_Hill', 'Australia/Yancowinna'),
           ('Australia/Darwin', 'Australia/North'),
           ('Australia/Hobart', 'Australia/Currie Australia/Tasmania'),
           ('Australia/Lord_Howe', 'Australia/LHI'),
           ('Australia/Melbourne', 'Australia/Victoria'),
           ('Australia/Perth', 'Australia/West'),
           ('Australia/Sydney', 'Australia/ACT Australia/Canberra Australia/NSW'),
           ('Europe/Chisinau', 'Europe/Tiraspol'),
           ('Europe/Dublin', 'Eire'),
           ('Europe/Istanbul', 'Asia/Istanbul Turkey'),
           ('Europe/Kyiv', 'Europe/Kiev Europe/Uzhgorod Europe/Zaporozhye'),
           ('Europe/Lisbon', 'Portugal'),
           ('Europe/London', 'Europe/Belfast GB GB-Eire'),
           ('Europe/Moscow', 'W-SU'),
           ('Europe/Oslo', 'Atlantic/Jan_Mayen'),
           ('Europe/Warsaw', 'Poland'),
           ('Pacific/Auckland', 'NZ'),
           ('Pacific/Chatham', 'NZ-CHAT'),
           ('Pacific/Chuuk', 'Pacific/Truk Pacific/Yap'),
           ('Pacific/Easter', 'Chile/EasterIsland'),
           ('Pacific/Honolulu', 'Pacific/Johnston US/Hawaii'),
           ('Pacific/Kanton', 'Pacific/Enderbury'),
           ('Pacific/Kwajalein', 'Kwajalein'),
           ('Pacific/Pago_Pago', 'Pacific/Samoa US/Samoa'),
           ('Pacific/Pohnpei', 'Pacific/Ponape')
       ) as listed (present, former)
    on conflict (name) do update set present = excluded.present;

-- Is this the name of a zone on this server?  Its tables and Python's are not of the same day.
create or replace function is_time_zone(name text) returns boolean
language plpgsql stable strict parallel restricted
as $$
begin
    return now() at time zone name is not null;
exception
    when others then
        return false;
end
$$;

-- The same for all of them.
create or replace function are_time_zones(zones text[]) returns boolean
language plpgsql stable strict parallel restricted
as $$
begin
    return (select bool_and(now() at time zone zone is not null) from unnest(zones) as zone);
exception
    when others then
        return false;
end
$$;

-- The name by which this server knows a zone: the given one, or its present name; NULL where it knows neither.
create or replace function present_zone(name text) returns text
language plpgsql stable strict parallel restricted
as $$
declare
    present text;
begin
    if is_time_zone(name) then
        return name;
    end if;
    select former_zone.present into present from former_zone where former_zone.name = present_zone.name;
    return case when is_time_zone(present) then present end;
end
$$;

-- What is dialed has a zone that this server knows, by its present name.  Asked when the zone comes in or changes and
-- never again: another server, or a later tzdata, may have forgotten it, and then the claim closes the call.
create or replace function call_log_zone() returns trigger
language plpgsql as $$
begin
    if tg_op = 'UPDATE' and new.time_zone is not distinct from old.time_zone then
        return new;
    end if;
    new.time_zone := coalesce((select present from former_zone where name = new.time_zone and is_time_zone(present)),
                              new.time_zone);
    -- A later attempt has the zone of the first; history may have any.
    if new.retry_of is null and new.status in ('queued', 'claimed') and not is_time_zone(new.time_zone) then
        raise invalid_parameter_value using
            message = format('time zone %L is none that this PostgreSQL knows', left(new.time_zone, 64)),
            hint = 'State its present name, like Asia/Jerusalem.';
    end if;
    return new;
end
$$;

do $$
declare
    before text := current_setting('lock_timeout');
begin
    -- Asked for again and again: behind a lock that is waited for, everybody waits.
    for attempt in 1..100 loop
        begin
            perform set_config('lock_timeout', '500ms', true);
            lock table call_log, business in access exclusive mode;
            exit;
        exception
            when lock_not_available or deadlock_detected then
                if attempt = 100 then
                    raise;
                end if;
                perform pg_sleep(0.1);
        end;
    end loop;
    perform set_config('lock_timeout', before, true);
end
$$;

alter table call_log drop constraint if exists call_log_time_zone;
create or replace trigger call_log_zone before insert or update of time_zone on call_log
for each row when (new.time_zone is not null) execute function call_log_zone();

-- A business's zone says what a moment without an offset means; Python checks it.
create or replace function business_zone() returns trigger
language plpgsql as $$
begin
    new.time_zone := coalesce((select present from former_zone where name = new.time_zone and is_time_zone(present)),
                              new.time_zone);
    return new;
end
$$;

create or replace trigger business_zone before insert or update of time_zone on business
for each row execute function business_zone();

-- The time zones in which this callee may be: the one that was stated, else those of the number's prefix; '{}' where
-- it cannot be told.  The longest prefix that fits decides; none has more than nine digits.
create or replace function callee_zones(to_number text, stated text) returns text[]
language sql stable parallel restricted
return case
    -- A zone that the server knew once and does not know any more is none: it must not stop everybody's claim.
    when stated is not null then array_remove(array[present_zone(stated)], null)
    else coalesce((select phone_zone.zones
                     from phone_zone
                    where prefix = any(array[substr(to_number, 2, 1), substr(to_number, 2, 2), substr(to_number, 2, 3),
                                             substr(to_number, 2, 4), substr(to_number, 2, 5), substr(to_number, 2, 6),
                                             substr(to_number, 2, 7), substr(to_number, 2, 8), substr(to_number, 2, 9)])
                    order by length(prefix) desc
                    limit 1), '{}')
end;

-- The first moment from `after` on at which every window is open in every zone, and stays open for `for_s` seconds.
-- NULL where there is none within 15 days, or where there is no window, no zone or one that this server does not know:
-- that is closed.
-- Open is what the clocks at the callee's show: an hour that they show twice is open twice, a skipped one is nobody's.
create or replace function next_opening(
    window_ids bigint[], zones text[], after timestamptz, for_s float8
) returns timestamptz
language sql stable parallel restricted
return case
    when not are_time_zones(zones) then null
    when is_surely_open(window_ids, zones, after, for_s) then after
    else first_opening(window_ids, zones, after, for_s)
end;

-- Why this call may not be dialed now, whatever the limits: no row where nothing is in its way.  What is final closes
-- the call; anything else holds it until then.  `opening` is next_opening of its windows and zones.  Nothing here may
-- raise, whatever the call, its history or its campaign holds: a dial in the future counts as one of this moment.
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
        select (select least(dialed_at, now()) + interval '1 day'
                  from call_log
                 where business_id = $1.business_id and to_number = $1.to_number and direction = 'outbound'
                   and dialed_at > now() - interval '1 day' and id <> $1.id
                 order by dialed_at desc
                offset attempts_per_day_max - 1
                 limit 1) as day_until,
               (select least(dialed_at, now()) + interval '7 days'
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
                                        > now() - make_interval(days => least(registry_max_age_days, 36500)), false)
                       and not has_consent($1.business_id, $1.to_number)
                       then 'registry_check_old'
                   when $2 <> '{}' and $3 = '{}' then 'no_time_zone'
                   when $1.time_zone is not null and present_zone($1.time_zone) is null then 'no_time_zone'
                   when $2 <> '{}' and $4 is null and not are_time_zones($3) then 'no_time_zone'
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

-- A code in words that an operator can act upon.
create or replace function obstacle_sentence(code text) returns text
language sql immutable parallel safe
return case code
    when 'campaign_ended' then 'Its campaign has ended.'
    when 'suppressed' then 'The number is on a do-not-call list.'
    when 'no_consent' then 'The campaign demands consent, and none is on record or it has expired.'
    when 'registry_listed' then 'The do-not-call registry lists the number, and there is no consent.'
    when 'registry_check_old' then 'The number must be checked against the do-not-call registry again.'
    when 'no_time_zone'
        then 'The callee''s time zone cannot be told: state time_zone, by a name that this PostgreSQL knows.'
    when 'attempts_per_week' then 'The callee was tried as often as one week allows.'
    when 'attempts_per_day' then 'The callee was tried as often as one day allows.'
    when 'outside_window' then 'It is outside the calling hours at the callee''s.'
end;

-- The same with the zone that was stated, where that is what is wrong.
create or replace function refusal_sentence(code text, time_zone text) returns text
language sql immutable parallel safe
return case
    when code = 'no_time_zone' and time_zone is not null
        then format('This PostgreSQL knows no time zone %L: state its present name, like Asia/Jerusalem.',
                    left(time_zone, 64))
    when code = 'no_time_zone'
        then 'There are calling hours, and the callee''s time zone cannot be told from the number: state time_zone.'
    else obstacle_sentence(code)
end;

-- Calls that raised an error wherever they were touched, each by itself: no step touches them again.
create table if not exists call_set_aside (
    call_id bigint primary key references call_log (id) on delete cascade,
    step    text not null,
    reason  text not null,  -- what the database said, without what the row holds
    at      timestamptz not null default now()
);

-- Is an error of this SQLSTATE one that a row raises by what it holds?  Else the server, or the schema, is at fault.
create or replace function is_of_a_row(state text) returns boolean
language sql immutable parallel safe
return left(state, 2) in ('21', '22', '23', '54', 'P0', 'XX');

-- What the database said, without what the row holds.
create or replace function fault_text(step text, state text, message text) returns text
language sql immutable parallel safe
return format('%s failed%s: %s', step, coalesce(' with SQLSTATE ' || nullif(state, ''), ''),
              left(regexp_replace(coalesce(message, ''), '"[^"]*"|''[^'']*''|[0-9+]{5,}', '...', 'g'), 300));

-- Set a call aside: closed, where it has not ended, and out of every later step.
--
-- Returns  was it not set aside before
create or replace function set_aside(call_id bigint, step text, state text, message text) returns boolean
language plpgsql as $$
declare
    words text := 'Set aside: ' || fault_text(step, state, message);
    was text;
begin
    -- Its key is checked by an insert, not by a foreign key's error.
    insert into call_set_aside (call_id, step, reason)
    select id, $2, words from call_log where id = $1
    on conflict do nothing;
    if not found then
        return false;
    end if;
    begin
        select status into was from call_log where id = $1 for update;
        update call_log
           set status = case when call_status_rank(was) < 5 then 'failed' else was end,
               error_code = case when call_status_rank(was) < 5 then 'odd_row' else error_code end,
               error_message = words,
               ended_at = case when call_status_rank(was) < 5 then now() else ended_at end,
               -- Nothing was sent yet.
               dialed_at = case when step not in ('begin', 'dial') then dialed_at end,
               overdue_at = null,
               held_by = null,
               hang_up = null
         where id = $1;
    exception
        when others then
            was := null;  -- not even that: the entry alone keeps it out
    end;
    insert into counter (name, label, slot, value)
    select name, label, pg_backend_pid() % 8, 1
      from (values ('ended', 'failed'), ('set_aside', $2)) as news (name, label)
     where name = 'set_aside' or call_status_rank(was) < 5
     order by name, label
    on conflict (name, label, slot) do update set value = counter.value + 1;
    return true;
end
$$;

-- What a claim raises at this call alone; no row where it raises nothing.  It does what the claim does with one call
-- (dispatch.sql), and undoes it.
create or replace function claim_fault(call_id bigint, claim_s float8, ring_s float8)
returns table (state text, message text)
language plpgsql as $$
declare
    call call_log;
    windows bigint[];
    zones text[];
    opening timestamptz;
    obstacle record;
begin
    select * into call
      from call_log
     where id = $1 and status = 'queued' and paused_at is null
       for update skip locked;
    if not found then
        return;
    end if;
    windows := call_windows(call.business_id, call.campaign_id);
    if windows <> '{}' then
        zones := callee_zones(call.to_number, call.time_zone);
        opening := next_opening(windows, zones, now(), claim_s + ring_s);
    end if;
    select * into obstacle from call_obstacle(call, windows, coalesce(zones, '{}'), opening);
    update call_log
       set status = case when obstacle.is_final then 'canceled' when obstacle.code is null then 'claimed' else status end,
           fence = fence + 1,
           overdue_at = now() + make_interval(secs => claim_s),
           due_at = coalesce(obstacle.until, due_at)
     where id = $1;
    raise sqlstate 'OB001';
exception
    when sqlstate 'OB001' then
        return;
    when others then
        if not is_of_a_row(sqlstate) then
            raise;
        end if;
        state := sqlstate;
        message := sqlerrm;
        return next;
end
$$;

-- Delete a call that has ended, and its events; one that somebody's table still points to is set aside and stays.
create or replace function delete_call(call_id bigint) returns boolean
language plpgsql as $$
begin
    delete from call_event where call_event.call_id = $1;
    delete from call_log where id = $1;
    return true;
exception
    when others then
        if not is_of_a_row(sqlstate) then
            raise;
        end if;
        perform set_aside($1, 'retention', sqlstate, sqlerrm);
        return false;
end
$$;

-- A call that we closed for want of knowledge: the one final status that a later word of the carrier may change.
create or replace function call_awaits_truth(status text, error_code text) returns boolean
language sql immutable parallel safe
return status = 'failed'
    and coalesce(error_code in ('no_call_sid', 'several_candidates', 'unknown_to_carrier', 'superseded', 'odd_row'),
                 false);

-- How often the lead of a call was tried in vain: it is given up after some times.
alter table call_log add column if not exists lead_tries integer not null default 0;
