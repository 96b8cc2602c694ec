-- What happens to our calls shows in the tables of the system that was adopted, for as long as its screens are in use.
-- depends: 0027_adoption

-- What could not be written there yet; it is written again later.
create table if not exists bridge_due (
    kind      text not null check (kind in ('call', 'lead')),
    call_id   bigint not null,
    state     text not null,  -- SQLSTATE, or 'skipped': it was not tried, since others had just taken too long
    cause     text not null default '',  -- the table, column or constraint that the server named
    tries     integer not null default 1,
    failed_at timestamptz not null default now(),
    primary key (kind, call_id)
);

create index if not exists bridge_due_failed_at on bridge_due (failed_at);
create index if not exists bridge_due_delays on bridge_due (state, failed_at) where state in ('55P03', '57014');

-- How numbers are written inside a country: its calling code, and [first digits, groups, prefix] of each kind of number.
create table if not exists bridge_region (
    region  text primary key,
    code    text not null,
    formats jsonb not null
);

-- The status of an old row that says `theirs` and whose call is `ours` here, both in the old words.  What the recording
-- pipeline wrote over an end stays.  An end of ours replaces the rest; a live word of ours replaces an earlier one, and
-- `failed`, which the old clean-up writes where a call_sid is late.
create or replace function bridge_status(theirs text, ours text) returns text
language sql immutable parallel safe
return case
    when theirs in ('recorded', 'processed') then theirs
    when ours in ('completed', 'busy', 'no-answer', 'failed', 'canceled') then ours
    when coalesce(theirs, '') in ('', 'received', 'queued', 'failed', 'initiated') then ours
    when theirs = 'ringing' and ours <> 'initiated' then ours
    when theirs in ('in-progress', 'answered') and ours = 'in_progress' then ours
    else theirs
end;

-- Each way in which a number may stand in the old tables: E.164 with and without its plus, and as people of the region
-- write it.  A list, and not an expression of the old column, so that its index is used.
create or replace function bridge_writings(phone text, region text) returns text[]
language plpgsql stable parallel safe
as $$
declare
    code text;
    formats jsonb;
    digits text;
    groups text[];
    prefix text;
    rest text;
    writings text[] := array[phone, substr(phone, 2), '00' || substr(phone, 2)];
begin
    select known.code, known.formats into code, formats from bridge_region as known where known.region = $2;
    if code is null or not starts_with(phone, '+' || code) then
        return writings;
    end if;
    digits := substr(phone, length(code) + 2);
    for place in 0..jsonb_array_length(formats) - 1 loop
        if digits ~ (formats -> place ->> 0) and digits ~ (formats -> place ->> 1) then
            groups := regexp_match(digits, formats -> place ->> 1);
            prefix := formats -> place ->> 2;
            exit;
        end if;
    end loop;
    rest := array_to_string(groups[2:], '');
    return writings || array[
        prefix || digits, prefix || array_to_string(groups, '-'), prefix || groups[1] || '-' || rest,
        prefix || array_to_string(groups, ' '), prefix || groups[1] || ' ' || rest, prefix || array_to_string(groups, '.'),
        '(' || prefix || groups[1] || ') ' || array_to_string(groups[2:], '-'),
        '+' || code || '-' || array_to_string(groups, '-'), '+' || code || '-' || groups[1] || '-' || rest,
        '+' || code || ' ' || array_to_string(groups, '-'), '+' || code || ' ' || groups[1] || '-' || rest,
        '+' || code || ' ' || array_to_string(groups, ' '), '+' || code || '-' || digits, '+' || code || ' ' || digits
    ];
end
$$;

-- Note a call of which the old tables shall hear; bridge_flush writes them at the end of the statement.
create or replace function bridge_note() returns trigger
language plpgsql as $$
begin
    if current_setting('outbound.bridge', true) = 'off' then
        return null;
    end if;
    if tg_op = 'INSERT'
       or (old.status, old.call_sid, old.duration_s, old.error_code)
          is distinct from (new.status, new.call_sid, new.duration_s, new.error_code)
    then
        perform set_config('outbound.bridge_calls', concat(current_setting('outbound.bridge_calls', true), ',', new.id),
                           true);
    end if;
    if new.lead_id is not null and (tg_op = 'INSERT' or new.lead_id is distinct from old.lead_id) then
        perform set_config('outbound.bridge_leads', concat(current_setting('outbound.bridge_leads', true), ',', new.id),
                           true);
    end if;
    return null;
end
$$;

create or replace function bridge_flush() returns trigger
language plpgsql as $$
declare
    calls text := current_setting('outbound.bridge_calls', true);
    leads text := current_setting('outbound.bridge_leads', true);
begin
    if calls <> '' then
        perform set_config('outbound.bridge_calls', '', true);
        perform bridge_write('call', string_to_array(substr(calls, 2), ',')::bigint[], true);
    end if;
    if leads <> '' then
        perform set_config('outbound.bridge_leads', '', true);
        perform bridge_write('lead', string_to_array(substr(leads, 2), ',')::bigint[], true);
    end if;
    return null;
end
$$;

-- Write these calls, or their leads, to the old tables, all or none.
--
-- Returns  the SQLSTATE of what failed, and the table, column and constraint that the server named; NULL where it is done
create or replace function bridge_try(kind text, call_ids bigint[], wait text, out state text, out cause text)
language plpgsql as $$
declare
    in_table text;
    in_column text;
    by_constraint text;
begin
    if kind = 'call' then
        perform old_write_calls(call_ids, wait);
    else
        perform old_write_leads(call_ids, wait);
    end if;
exception
    -- Also the end of our own statement's time, which their triggers may use up: the call's move is not theirs to stop.
    when others or query_canceled or assert_failure then
        get stacked diagnostics in_table = table_name, in_column = column_name, by_constraint = constraint_name;
        state := sqlstate;
        cause := concat_ws(' ', nullif(in_table, ''), nullif(in_column, ''), nullif(by_constraint, ''));
end
$$;

-- Write these calls, or their leads, to the old tables, one by one where that fails for all of them.  What cannot be
-- written is noted, and fails nobody else.
--
-- A lock is waited for 20 ms; where that was in vain within two seconds, or calls are tried one by one, 1 ms.  Where the
-- old tables took until the statement was to be canceled, nothing is tried for a minute, if `may_skip`.
--
-- Returns  the SQLSTATE of the last failure; NULL where there was none
create or replace function bridge_write(kind text, call_ids bigint[], may_skip boolean) returns text
language plpgsql as $$
declare
    wait text := '20ms';
    tried record;
    failed text;
    one bigint;
begin
    if exists (select from bridge_due where state in ('55P03', '57014') and failed_at > now() - interval '1 min') then
        if exists (select from bridge_due where state = '55P03' and failed_at > now() - interval '2 s') then
            wait := '1ms';
        end if;
        if may_skip and exists (select from bridge_due where state = '57014' and failed_at > now() - interval '1 min') then
            failed := 'skipped';
        end if;
    end if;
    if failed is null then
        select * into tried from bridge_try(kind, call_ids, wait);
    else
        select failed as state, '' as cause into tried;
    end if;
    if tried.state is null then
        return null;
    end if;
    foreach one in array call_ids loop
        if cardinality(call_ids) > 1 and coalesce(tried.state not in ('57014', 'skipped'), true) then
            select * into tried from bridge_try(kind, array[one], '1ms');
        end if;
        continue when tried.state is null;
        insert into bridge_due as due (kind, call_id, state, cause, failed_at)
        select $1, call_log.id, tried.state, tried.cause, clock_timestamp()
          from call_log
         where call_log.id = one
           and exists (select from adopted where adopted.kind = 'business'
                         and adopted.new_id = call_log.business_id
                         and adopted.fate = 'adopted')
        on conflict on constraint bridge_due_pkey do update
           set state = excluded.state,
               cause = excluded.cause,
               tries = least(due.tries, 1000) + 1,
               failed_at = excluded.failed_at;
        continue when not found;
        failed := tried.state;
        insert into counter (name, label, slot, value)
        values ('old_bridge', 'failed', pg_backend_pid() % 8, 1)
        on conflict (name, label, slot) do update set value = counter.value + 1;
    end loop;
    return failed;
end
$$;

-- Write again what could not be written; of a call that is gone nothing is due.  Our call is locked first, as by those
-- who move it: what is written is its latest word.
--
-- Returns  the SQLSTATE where it failed again; NULL where it is done, or somebody else is at it
create or replace function bridge_write_again(kind text, call_id bigint) returns text
language plpgsql as $$
declare
    failed text;
begin
    perform from bridge_due where bridge_due.kind = $1 and bridge_due.call_id = $2 for update skip locked;
    if not found then
        return null;
    end if;
    perform from call_log where id = $2 for no key update skip locked;
    if found then
        failed := bridge_write($1, array[$2], false);
    elsif exists (select from call_log where id = $2) then
        return null;
    end if;
    if failed is null then
        delete from bridge_due where bridge_due.kind = $1 and bridge_due.call_id = $2;
        insert into counter (name, label, slot, value)
        values ('old_bridge', 'late', pg_backend_pid() % 8, 1)
        on conflict (name, label, slot) do update set value = counter.value + 1;
    end if;
    return failed;
end
$$;

-- The columns that an old table has of those that are wanted, each with its value in the column's own type, cut to its
-- length.  `wanted` holds [value, name, other name] for each; times without a zone are UTC.
create or replace function bridge_columns(old_schema text, old_table text, wanted text[][])
returns table (name text, value text)
language sql stable
as $$
    select quote_ident(found.name),
           case
               when found.type like 'timestamp%without time zone'
                   then format('(%s) at time zone ''UTC''', replace(wish.value, '{old}', '({old} at time zone ''UTC'')'))
               when found.type like 'character varying(%' then format('left(%s, %s)', wish.value, found.typmod - 4)
               else format('(%s)::%s', wish.value, found.type)
           end
      from (select place, wanted[place][1] as value,
                   array(select wanted[place][i] from generate_series(2, array_length(wanted, 2)) as i) as names
              from generate_series(1, array_length(wanted, 1)) as place) as wish
     cross join lateral (
           select attname::text as name, format_type(atttypid, atttypmod) as type, atttypmod as typmod
             from pg_attribute
            where attrelid = to_regclass(format('%I.%I', old_schema, old_table))
              and attnum > 0
              and not attisdropped
              and attgenerated = ''
              and attname = any(wish.names)
            order by array_position(wish.names, attname::text)
            limit 1
     ) as found
     order by wish.place;
$$;

-- How an old table's columns are set; `{old}` in a value is the column's present value.
create or replace function bridge_assignments(old_schema text, old_table text, wanted text[][]) returns text
language sql stable
as $$
    select string_agg(format('%s = %s', name, replace(value, '{old}', 'o.' || name)), ', ')
      from bridge_columns(old_schema, old_table, wanted);
$$;

-- Make `old_write_calls`, which writes our calls to the old call_log, and to the jobs from which they were adopted.
create or replace function make_old_write_calls(old_schema text) returns void
language plpgsql as $make$
declare
    here text := quote_ident(current_schema());
    calls text := format('%I.call_log', old_schema);
    leads text := format('%I.leads', old_schema);
    jobs text := format('%I.outbound_call_jobs', old_schema);
    has_jobs boolean := to_regclass(jobs) is not null;
    head text := format('create or replace function %s.old_write_calls(call_ids bigint[], wait text) returns void'
                        ' language plpgsql set search_path = %I, pg_temp set lock_timeout = ''20ms'''
                        ' set enable_seqscan = off as ', here, old_schema);
    body text;
    names text;
    vals text;
begin
    if to_regclass(calls) is null then
        execute head || quote_literal('begin end');
        return;
    end if;
    select string_agg(name, ', '), string_agg(value, ', ')
      into names, vals
      from bridge_columns(old_schema, 'call_log', array[
          ['call.old_business_id', 'business_id', 'tenant_id'],
          ['call.call_sid', 'call_sid', ''],
          ['call.from_number', 'from_number', ''],
          ['call.to_number', 'to_number', ''],
          ['call.direction', 'direction', ''],
          ['case call.direction when ''outbound'' then ''outbound-api'' else call.direction end', 'twilio_direction', ''],
          ['call.word', 'status', ''],
          ['call.call_status', 'call_status', ''],
          ['call.duration_s', 'duration', 'duration_s'],
          ['call.customer_name', 'customer_name', ''],
          ['call.error_code', 'error_code', ''],
          ['call.error_message', 'error_message', ''],
          ['call.began_at', 'created_at', ''],
          ['now()', 'updated_at', ''],
          [format('coalesce(%s, %s)',
                  case
                      when has_jobs then format('(select o.lead_id from %s as o where o.id = call.job_id)', jobs)
                      else 'null'
                  end,
                  case
                      when to_regclass(leads) is not null
                          then format('(select max(o.id) from %s as o inner join %s.adopted on adopted.old_id = o.id'
                                      ' where adopted.kind = ''lead'' and adopted.new_id = call.lead_id)', leads, here)
                      else 'null'
                  end), 'lead_id', '']]);
    body := replace(replace(replace($body$
declare
    call record;
begin
    perform set_config('lock_timeout', wait, true);
    lock table {calls} in row exclusive mode nowait;
    for call in
        select call_log.id, call_log.business_id, call_log.call_sid, call_log.from_number, call_log.to_number,
               call_log.direction, call_log.duration_s, call_log.error_code, call_log.error_message, call_log.dialed_at,
               call_log.ended_at, call_log.lead_id, call_log.contact ->> 'name' as customer_name,
               least(coalesce(call_log.dialed_at, call_log.created_at), now()) as began_at,
               -- One that went back to the queue was not sent; it is a call again when it is dialed again.
               case
                   when call_log.status in ('queued', 'claimed') then 'failed'
                   when call_log.status = 'in-progress' then 'in_progress'
                   else call_log.status
               end as word,
               case when call_log.status in ('queued', 'claimed') then 'failed' else call_log.status end as call_status,
               {here}.call_status_rank(call_log.status) = 5 as has_ended,
               call_log.direction = 'inbound' or call_log.dialed_at is not null or call_log.call_sid is not null
               or call_log.status in ('initiated', 'ringing', 'in-progress') as was_dialed,
               business.old_id as old_business_id, link.old_id as row_id, link.fate, present.id as present_id,
               twin.id as twin_id, job.old_id as job_id
          from unnest(call_ids) as wanted (id)
         inner join {here}.call_log on call_log.id = wanted.id
         inner join lateral (
               select old_id
                 from {here}.adopted
                where kind = 'business' and new_id = call_log.business_id and fate = 'adopted'
                order by old_id
                limit 1
         ) as business on true
          left join lateral (
               select old_id, fate
                 from {here}.adopted
                where kind = 'call' and new_id = call_log.id
                order by old_id desc
                limit 1
          ) as link on true
          left join {calls} as present on present.id = link.old_id
          left join lateral (
               select o.id
                 from {calls} as o
                where o.call_sid = call_log.call_sid
                  and o.call_sid <> ''
                  and present.call_sid is distinct from call_log.call_sid
                limit 1
          ) as twin on true
          left join lateral (
               select old_id
                 from {here}.adopted
                where kind = 'job'
                  and new_id = coalesce(call_log.retry_of, call_log.id)
                  and adopted.fate in ('queued_here', 'call_adopted', 'job_asked')  -- not one that its telephone held up
                limit 1
          ) as job on true
         order by call_log.id
    loop
        if call.twin_id is not null then
            -- The old program made a row for this call_sid: that one is the call's, and ours goes.
            if call.fate = 'bridged' then
                delete from {here}.adopted where kind = 'call' and old_id = call.row_id;
                {forget_row}
                delete from {calls} as o where o.id = call.row_id;
            end if;
            insert into {here}.adopted (kind, old_id, new_id, business_id, fate)
            values ('call', call.twin_id, call.id, call.business_id, 'ours')
            on conflict (kind, old_id) do update set new_id = excluded.new_id;
            call.row_id := call.twin_id;
            call.present_id := call.twin_id;
        end if;
        if call.row_id is null then
            continue when not call.was_dialed or call.call_status = 'failed' and not call.has_ended;
            insert into {calls} ({names}) values ({values}) returning id into call.row_id;
            continue when call.row_id is null;  -- a trigger of theirs wants none
            insert into {here}.adopted (kind, old_id, new_id, business_id, fate)
            values ('call', call.row_id, call.id, call.business_id, 'bridged')
            on conflict (kind, old_id) do update set new_id = excluded.new_id, fate = excluded.fate;
        elsif call.present_id is not null then  -- else they deleted it
            update {calls} as o
               set {assignments}
             where o.id = call.row_id
               and (coalesce(o.call_sid, '') = '' or call.call_sid is null or o.call_sid = call.call_sid);
        end if;
        {job}
    end loop;
    set constraints all immediate;  -- what their deferred triggers would say at the end, where it would fail us
end
$body$, '{here}', here), '{names}', names), '{values}', vals);
    body := replace(body, '{assignments}', bridge_assignments(old_schema, 'call_log', array[
        [format('%s.bridge_status({old}::text, call.word)', here), 'status', ''],
        ['call.call_status', 'call_status', ''],
        ['coalesce(nullif({old}, ''''), call.call_sid)', 'call_sid', ''],
        ['coalesce(call.duration_s, {old})', 'duration', 'duration_s'],
        ['coalesce(nullif({old}, ''''), call.customer_name)', 'customer_name', ''],
        ['call.error_code', 'error_code', ''],
        ['call.error_message', 'error_message', ''],
        ['now()', 'updated_at', '']]));
    -- A job is never 'queued' again, and 'calling' only with a call_sid: no old worker takes it then.
    body := replace(body, '{job}', case when has_jobs then format($job$
        if call.job_id is not null and (call.has_ended or call.call_sid is not null) then
            update %s as o
               set %s
             where o.id = call.job_id and o.status is distinct from 'completed';
        end if;
    $job$, jobs, bridge_assignments(old_schema, 'outbound_call_jobs', array[
        ['case when not call.has_ended then ''calling'' when call.word = ''completed'' then ''completed'' else ''failed'''
         ' end', 'status', ''],
        ['call.call_sid', 'call_sid', ''],
        ['call.call_sid', 'twilio_call_sid', ''],
        ['call.row_id', 'call_log_id', ''],
        ['call.error_message', 'error_message', ''],
        ['call.dialed_at', 'started_at', ''],
        ['case when call.has_ended then coalesce(call.ended_at, now()) end', 'completed_at', '']])) else '' end);
    body := replace(body, '{forget_row}', case when has_jobs then format(
        'update %s as o set call_log_id = call.twin_id where o.id = call.job_id and o.call_log_id = call.row_id;',
        jobs) else '' end);
    execute head || quote_literal(replace(body, '{calls}', calls));
end
$make$;

-- Make `old_write_leads`, which shows the lead of a call of ours among the old leads: the newest of its telephone there,
-- or else one more.  What is known of a person there stays as it is.
create or replace function make_old_write_leads(old_schema text) returns void
language plpgsql as $make$
declare
    here text := quote_ident(current_schema());
    calls text := format('%I.call_log', old_schema);
    leads text := format('%I.leads', old_schema);
    head text := format('create or replace function %s.old_write_leads(call_ids bigint[], wait text) returns void'
                        ' language plpgsql set search_path = %I, pg_temp set lock_timeout = ''20ms'''
                        ' set enable_seqscan = off as ', here, old_schema);
    body text;
    names text;
    vals text;
    tenant text;
    phone text;
    has_link boolean := exists (select from bridge_columns(old_schema, 'call_log', array[['', 'lead_id']]));
begin
    if to_regclass(leads) is null then
        execute head || quote_literal('begin end');
        return;
    end if;
    select min(name) into tenant from bridge_columns(old_schema, 'leads', array[['', 'tenant_id', 'business_id']]);
    select min(name) into phone from bridge_columns(old_schema, 'leads', array[['', 'phone_e164', 'phone', 'phone_number']]);
    select string_agg(name, ', '), string_agg(value, ', ')
      into names, vals
      from bridge_columns(old_schema, 'leads', array[
          ['call.old_business_id', 'tenant_id', 'business_id', ''],
          ['call.phone', 'phone_e164', 'phone', 'phone_number'],
          ['call.phone', 'phone_raw', '', ''],
          ['call.name', 'name', 'full_name', ''],
          ['''call''', 'source', '', ''],
          ['call.call_sid', 'external_id', '', ''],
          ['''new''', 'status', '', ''],
          ['call.direction', 'last_call_direction', '', ''],
          ['now()', 'created_at', '', ''],
          ['now()', 'updated_at', '', ''],
          ['call.contact_at', 'last_contact_at', '', '']]);
    body := replace(replace(replace($body$
declare
    call record;
    lead_row bigint;
begin
    perform set_config('lock_timeout', wait, true);
    lock table {leads} in row exclusive mode nowait;
    for call in
        select call_log.id, call_log.business_id, call_log.lead_id, call_log.call_sid, call_log.direction, leads.phone,
               call_log.contact ->> 'name' as name, business.old_id as old_business_id, own.default_region,
               least(coalesce(call_log.answered_at, call_log.ended_at, call_log.dialed_at, call_log.created_at), now())
               as contact_at,
               (select max(old_id) from {here}.adopted where kind = 'call' and new_id = call_log.id) as row_id
          from unnest(call_ids) as wanted (id)
         inner join {here}.call_log on call_log.id = wanted.id
         inner join {here}.leads on leads.id = call_log.lead_id
         inner join {here}.business as own on own.id = call_log.business_id
         inner join lateral (
               select old_id
                 from {here}.adopted
                where kind = 'business' and new_id = call_log.business_id and fate = 'adopted'
                order by old_id
                limit 1
         ) as business on true
         order by call_log.id
    loop
        -- Most are in E.164; only where none is, the other ways to write it are looked for.  Not `order by id`, for which
        -- the whole table may be read backwards.
        select max(o.id::bigint + 0)
          into lead_row
          from {leads} as o
         where o.{phone} = call.phone and o.{tenant} = call.old_business_id;
        if lead_row is null then
            select max(o.id::bigint + 0)
              into lead_row
              from {leads} as o
             where o.{phone} = any({here}.bridge_writings(call.phone, call.default_region))
               and o.{tenant} = call.old_business_id;
        end if;
        {touch}
        if lead_row is null then
            insert into {leads} ({names}) values ({values}) returning id into lead_row;
            continue when lead_row is null;  -- a trigger of theirs wants none
        end if;
        insert into {here}.adopted (kind, old_id, new_id, business_id, fate)
        values ('lead', lead_row, call.lead_id, call.business_id, 'bridged')
        on conflict (kind, old_id) do update set new_id = excluded.new_id where adopted.new_id is null;
        {link}
    end loop;
    set constraints all immediate;  -- what their deferred triggers would say at the end, where it would fail us
end
$body$, '{here}', here), '{names}', names), '{values}', vals);
    body := replace(body, '{touch}', coalesce(
        'update {leads} as o set ' || bridge_assignments(old_schema, 'leads', array[
            ['greatest({old}, call.contact_at)', 'last_contact_at', ''],
            ['call.direction', 'last_call_direction', ''],
            ['now()', 'updated_at', '']]) || ' where o.id = lead_row; if not found then lead_row := null; end if;', ''));
    body := replace(body, '{link}', case when has_link then format(
        'update %s as o set lead_id = lead_row where o.id = call.row_id and o.lead_id is null;', calls) else '' end);
    body := replace(replace(body, '{tenant}', tenant), '{phone}', phone);
    execute head || quote_literal(replace(body, '{leads}', leads));
end
$make$;

-- Begin to write what happens to our calls to the tables of the system before: its functions follow the columns that the
-- house has now.
create or replace function make_bridge(old_schema text) returns void
language plpgsql strict as $$
begin
    perform make_old_write_calls(old_schema), make_old_write_leads(old_schema);
    create or replace trigger old_bridge_inserted after insert on call_log
    for each row when (new.status not in ('queued', 'claimed'))
    execute function bridge_note();
    create or replace trigger old_bridge_updated after update on call_log
    for each row when (
        (old.status not in ('queued', 'claimed') or new.status in ('initiated', 'ringing', 'in-progress'))
        and (old.status is distinct from new.status
             or old.call_sid is distinct from new.call_sid
             or old.lead_id is distinct from new.lead_id
             or old.duration_s is distinct from new.duration_s
             or old.error_code is distinct from new.error_code)
    )
    execute function bridge_note();
    create or replace trigger old_bridge_written after insert or update on call_log
    for each statement execute function bridge_flush();
end
$$;

-- End it.  What it wrote to the old tables stays there.
create or replace function drop_bridge() returns void
language plpgsql as $$
begin
    drop trigger if exists old_bridge_inserted on call_log;
    drop trigger if exists old_bridge_updated on call_log;
    drop trigger if exists old_bridge_written on call_log;
    drop function if exists old_write_calls(bigint[], text);
    drop function if exists old_write_leads(bigint[], text);
    delete from bridge_due;
end
$$;

-- What triggers call finds what it names in whatever session it runs.
do $$
declare
    target text;
begin
    foreach target in array array['bridge_note()', 'bridge_flush()', 'bridge_writings(text, text)',
                                  'bridge_write_again(text, bigint)'] loop
        execute format('alter function %s set search_path = %I, pg_temp', target, current_schema());
    end loop;
end
$$;
