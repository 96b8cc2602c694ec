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
