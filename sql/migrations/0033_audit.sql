-- Who changed what decides whom we dial: written by triggers, whichever program makes the change, and chained by hash.
-- squawk-ignore-file prefer-robust-stmts, constraint-missing-not-valid
-- depends: 0029_identity_schema

-- The secret with which a person's number is hashed, made here and never shown.
create table if not exists person_key (
    is_only boolean primary key default true check (is_only),
    key     bytea not null
);

insert into person_key (key)
select decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')
    on conflict do nothing;

-- What stands for a person's number where the number itself shall not stand.  Whoever has the key can find a number by
-- trying all of them: there are not many.
create or replace function person_hash(phone text) returns bytea
language sql stable parallel safe
return (select sha256(key || sha256(key || convert_to(phone_key(phone), 'UTF8'))) from person_key);

-- All locks at once and none for long: who is writing is waited for outside of any queue, so that nobody waits behind us.
do $$
declare
    before_it text := current_setting('lock_timeout');
begin
    for attempt in 1..100 loop
        begin
            perform set_config('lock_timeout', '500ms', true);
            lock table audit in access exclusive mode;
            lock table business, business_number, calling_day, calling_window, campaign, campaign_number, consent,
                dial_control, dialing_stop, registry_check, retry_ladder, retry_step, suppression
                in share row exclusive mode;
            exit;
        exception
            when lock_not_available or deadlock_detected then
                if attempt = 100 then
                    raise;
                end if;
                perform pg_sleep(0.1);
        end;
    end loop;
    perform set_config('lock_timeout', before_it, true);
end
$$;

-- `who` is the name that was given by --by, else the user of the operating system; `db_user` is the role that logged in
-- to the database, which the server itself knows.  The other two are what the client says.
alter table audit add column if not exists db_user text null;
alter table audit add column if not exists os_user text null;

-- What triggers saw: `action` is insert, update, delete or truncate; `scope` is the table, `key` the id of the row where it
-- is one; `details` hold how many rows, and of a few each as it was before and after.
create table if not exists audit_change (
    id      bigint generated always as identity primary key,
    at      timestamptz not null default now(),
    who     text null,
    db_user text null,
    os_user text null,
    action  text not null,
    scope   text not null,
    key     text not null default '',
    details jsonb not null default '{}'
);

-- The chain over both: one link for each entry, in the order of their commits.  `content` is the digest of what may be
-- erased of an entry (who, key, details), so that the chain holds when it was.
create table if not exists audit_link (
    place    bigint primary key,
    source   text not null check (source in ('audit', 'audit_change')),
    entry_id bigint not null,
    content  bytea not null,
    hash     bytea not null,
    unique (source, entry_id)
);

-- Its last link.  Whoever writes one holds this row until the commit, which follows at once.
create table if not exists audit_head (
    is_only boolean primary key default true check (is_only),
    place   bigint not null,
    hash    bytea not null
);

insert into audit_head (place, hash) values (0, '') on conflict do nothing;

create or replace function audit_content(who text, key text, details jsonb) returns bytea
language sql stable parallel safe
return sha256(convert_to(jsonb_build_array(who, key, details)::text, 'UTF8'));

create or replace function audit_hash(
    before bytea, place bigint, source text, entry_id bigint, at timestamptz, db_user text, os_user text, action text,
    scope text, content bytea
) returns bytea
language sql stable parallel safe
return sha256(before || content
              || convert_to(jsonb_build_array(place, source, entry_id, (extract(epoch from at) * 1000000)::bigint,
                                              db_user, os_user, action, scope)::text, 'UTF8'));

-- Who it was is not the writer's to say.
create or replace function audit_stamp() returns trigger
language plpgsql as $$
begin
    new.db_user := session_user;
    new.os_user := nullif(current_setting('outbound.os_user', true), '');
    return new;
end
$$;

-- Fires at the commit, so that nobody waits for somebody's open transaction, and last, so that no two wait for each other.
create or replace function audit_link_entry() returns trigger
language plpgsql security definer as $$
declare
    before audit_head;
    link_content bytea := audit_content(new.who, new.key, new.details);
    link_hash bytea;
begin
    select * into strict before from audit_head for update;
    link_hash := audit_hash(before.hash, before.place + 1, tg_table_name, new.id, new.at, new.db_user, new.os_user,
                            new.action, new.scope, link_content);
    insert into audit_link (place, source, entry_id, content, hash)
    values (before.place + 1, tg_table_name, new.id, link_content, link_hash);
    update audit_head set place = before.place + 1, hash = link_hash;
    return null;
end
$$;

-- An accident must not change what was written.  Who owns the tables can; the chain shows it.
create or replace function audit_stays() returns trigger
language plpgsql as $$
begin
    if tg_op = 'UPDATE' and current_setting('outbound.erases_audit', true) = 'on' then
        return null;
    end if;
    raise object_not_in_prerequisite_state using
        message = format('%s only grows: nothing of it was changed', tg_table_name);
end
$$;

-- Blank the details of entries, which the chain allows because an entry says which they were.  Such entries are kept.
-- `pattern` is what must not stay in `who` either.  Returns how many were blanked.
create or replace function audit_erase(
    by_whom text, because text, audits bigint[], changes bigint[], pattern text default null
) returns integer
language plpgsql security definer as $$
declare
    blank constant jsonb := '{"erased": true}';
    done_audits bigint[];
    done_changes bigint[];
begin
    perform set_config('outbound.erases_audit', 'on', true);
    with done as (
        update audit
           set details = blank, key = '', who = case when who ~ pattern then 'erased' else who end
         where id = any(audits) and action <> 'erase'
        returning id
    )
    select coalesce(array_agg(id order by id), '{}') into done_audits from done;
    with done as (
        update audit_change
           set details = blank, key = '', who = case when who ~ pattern then 'erased' else who end
         where id = any(changes)
        returning id
    )
    select coalesce(array_agg(id order by id), '{}') into done_changes from done;
    perform set_config('outbound.erases_audit', '', true);
    if done_audits <> '{}' or done_changes <> '{}' then
        insert into audit (who, action, scope, key, details)
        values (by_whom, 'erase', 'account', '',
                jsonb_build_object('because', because, 'audit', done_audits, 'audit_change', done_changes));
    end if;
    return cardinality(done_audits) + cardinality(done_changes);
end
$$;

-- A row as the audit keeps it: without its counters, people's numbers hashed, logins in URLs masked.
create or replace function audit_row(content jsonb, ignored text[], personal text[]) returns jsonb
language sql stable
as $$
    select coalesce(jsonb_object_agg(key, case
                        when key = any(personal) then to_jsonb(encode(person_hash(value #>> '{}'), 'hex'))
                        when jsonb_typeof(value) = 'string'
                            then to_jsonb(regexp_replace(value #>> '{}', '(://)[^/@\s"<>]+@', '\1***@', 'g'))
                        else value
                    end), '{}')
      from jsonb_each(content)
     where key <> all(ignored)
$$;

-- What changed between two forms of a row, and which row it is.
create or replace function audit_difference(before jsonb, after jsonb) returns jsonb
language sql immutable parallel safe
as $$
    select jsonb_strip_nulls(jsonb_build_object('id', before -> 'id'))
           || jsonb_build_object('before', jsonb_object_agg(key, before -> key) filter (where key <> 'id'),
                                 'after', jsonb_object_agg(key, after -> key) filter (where key <> 'id'))
      from jsonb_object_keys(before || after) as key
     where before -> key is distinct from after -> key
        or key in ('scope', 'key', 'phone', 'business_id', 'campaign_id', 'window_id', 'day', 'ladder_id', 'outcome', 'step')
           and not before ? 'id'
$$;

create or replace function audit_write(action text, target text, changed bigint, listed jsonb) returns void
language sql security definer
as $$
    insert into audit_change (who, action, scope, key, details)
    values (nullif(current_setting('outbound.by', true), ''), lower(action), target,
            case
                when changed = 1
                    then coalesce(listed #>> '{0,id}', listed #>> '{0,after,id}', listed #>> '{0,before,id}', '')
                else ''
            end,
            jsonb_strip_nulls(jsonb_build_object('rows', changed))
            || case when listed is null then '{}' else jsonb_build_object('changes', listed) end)
$$;

-- After a statement: one entry, however many rows it changed.  An import of a million is a count.
create or replace function audit_note_statement() returns trigger
language plpgsql security definer as $$
declare
    listed_max constant integer := 20;
    ignored text[] := tg_argv[0];
    personal text[] := tg_argv[1];
    changed bigint;
    listed jsonb;
begin
    if tg_op = 'TRUNCATE' then
        perform audit_write(tg_op, tg_table_name, null, null);
    elsif tg_op = 'INSERT' then
        select count(*) into changed from come;
        if changed between 1 and listed_max then
            select jsonb_agg(jsonb_build_object('after', audit_row(to_jsonb(come), ignored, personal))) into listed from come;
        end if;
    elsif tg_op = 'DELETE' then
        select count(*) into changed from gone;
        if changed between 1 and listed_max then
            select jsonb_agg(jsonb_build_object('before', audit_row(to_jsonb(gone), ignored, personal))) into listed from gone;
        end if;
    else
        select count(*) into changed from come;
        if changed between 1 and listed_max then
            -- Both hold the rows in the order in which they were changed.
            select count(*), jsonb_agg(audit_difference(was.content, now_is.content))
              into changed, listed
              from (select row_number() over () as place, audit_row(to_jsonb(gone), ignored, personal) as content
                      from gone) as was
             inner join (select row_number() over () as place, audit_row(to_jsonb(come), ignored, personal) as content
                           from come) as now_is on now_is.place = was.place
             where was.content <> now_is.content;
        end if;
    end if;
    if changed > 0 then
        perform audit_write(tg_op, tg_table_name, changed, listed);
    end if;
    return null;
end
$$;

-- After a row, where most changes of the table are counters of dispatch: those are not even looked at.
create or replace function audit_note_row() returns trigger
language plpgsql security definer as $$
declare
    ignored text[] := tg_argv[0];
    personal text[] := tg_argv[1];
    listed jsonb;
begin
    listed := case tg_op
        when 'INSERT' then jsonb_build_object('after', audit_row(to_jsonb(new), ignored, personal))
        when 'DELETE' then jsonb_build_object('before', audit_row(to_jsonb(old), ignored, personal))
        else audit_difference(audit_row(to_jsonb(old), ignored, personal), audit_row(to_jsonb(new), ignored, personal))
    end;
    perform audit_write(tg_op, tg_table_name, 1, jsonb_build_array(listed));
    return null;
end
$$;

-- Audit what is changed in a table.  May be called again.
--
-- `ignored` are columns that are no decision of anybody's: with some, a change of these alone costs a comparison.
-- `personal` are columns that hold the number of a person whom we call.
create or replace function audit_changes_of(target regclass, ignored text[] default '{}', personal text[] default '{}')
returns void
language plpgsql as $$
declare
    name text := (select relname || '_audit_' from pg_class where oid = target);
    given text := format('%L, %L', ignored || array['updated_at'], personal);
    is_changed text;
    is_more text;
begin
    execute format('create or replace trigger %I after truncate on %s for each statement '
                   'execute function audit_note_statement(%s)', name || 'truncate', target, given);
    if ignored = '{}' then
        execute format('create or replace trigger %I after insert on %s referencing new table as come '
                       'for each statement execute function audit_note_statement(%s)', name || 'insert', target, given);
        execute format('create or replace trigger %I after update on %s referencing old table as gone '
                       'new table as come for each statement execute function audit_note_statement(%s)',
                       name || 'update', target, given);
        execute format('create or replace trigger %I after delete on %s referencing old table as gone '
                       'for each statement execute function audit_note_statement(%s)', name || 'delete', target, given);
        return;
    end if;
    select string_agg(format('old.%1$I is distinct from new.%1$I', attname), ' or ' order by attnum),
           string_agg(format('new.%I is distinct from %s', attname,
                             coalesce(pg_get_expr(adbin, adrelid), 'null::' || format_type(atttypid, atttypmod))),
                      ' or ' order by attnum) filter (where not coalesce(attnum = any(indkey), false))
      into is_changed, is_more
      from pg_attribute
      left join pg_attrdef on adrelid = attrelid and adnum = attnum
      left join pg_index on indrelid = attrelid and indisprimary
     where attrelid = target and attnum > 0 and not attisdropped and attname <> all(ignored) and attname <> 'updated_at';
    execute format('create or replace trigger %I after insert on %s for each row when (%s) '
                   'execute function audit_note_row(%s)', name || 'insert', target, is_more, given);
    execute format('create or replace trigger %I after update on %s for each row when (%s) '
                   'execute function audit_note_row(%s)', name || 'update', target, is_changed, given);
    execute format('create or replace trigger %I after delete on %s for each row '
                   'execute function audit_note_row(%s)', name || 'delete', target, given);
end
$$;

-- What triggers call finds what it names in whatever session it runs; who owns them may do more than who calls them.
do $$
declare
    target text;
begin
    foreach target in array array[
        'audit_stamp()', 'audit_link_entry()', 'audit_stays()', 'audit_erase(text, text, bigint[], bigint[], text)',
        'audit_row(jsonb, text[], text[])', 'audit_difference(jsonb, jsonb)', 'audit_write(text, text, bigint, jsonb)',
        'audit_note_statement()', 'audit_note_row()'
    ] loop
        execute format('alter function %s set search_path = %I, pg_temp', target, current_schema());
    end loop;
end
$$;

do $$
declare
    entry record;
    content bytea;
    head audit_head;
begin
    -- What was written before gets its link now; the head is written once, as each version of it would be read by the next.
    select * into strict head from audit_head for update;
    for entry in
        select * from audit
         where not exists (select from audit_link where source = 'audit' and entry_id = audit.id)
         order by id
    loop
        content := audit_content(entry.who, entry.key, entry.details);
        head.hash := audit_hash(head.hash, head.place + 1, 'audit', entry.id, entry.at, entry.db_user, entry.os_user,
                                entry.action, entry.scope, content);
        insert into audit_link (place, source, entry_id, content, hash)
        values (head.place + 1, 'audit', entry.id, content, head.hash);
        head.place := head.place + 1;
    end loop;
    update audit_head set place = head.place, hash = head.hash;

    create or replace trigger audit_stamp before insert on audit for each row execute function audit_stamp();
    create or replace trigger audit_change_stamp before insert on audit_change for each row execute function audit_stamp();
    create or replace trigger audit_stays before update or delete or truncate on audit
    for each statement execute function audit_stays();
    create or replace trigger audit_change_stays before update or delete or truncate on audit_change
    for each statement execute function audit_stays();
    create or replace trigger audit_link_stays before update or delete or truncate on audit_link
    for each statement execute function audit_stays();
    drop trigger if exists audit_linked on audit;
    create constraint trigger audit_linked after insert on audit deferrable initially deferred
    for each row execute function audit_link_entry();
    drop trigger if exists audit_change_linked on audit_change;
    create constraint trigger audit_change_linked after insert on audit_change deferrable initially deferred
    for each row execute function audit_link_entry();

    perform audit_changes_of('business'), audit_changes_of('business_number'), audit_changes_of('campaign'),
            audit_changes_of('campaign_number'), audit_changes_of('calling_window'), audit_changes_of('calling_day'),
            audit_changes_of('retry_ladder'), audit_changes_of('retry_step'), audit_changes_of('dialing_stop'),
            audit_changes_of('suppression', personal => '{phone}'), audit_changes_of('consent', personal => '{phone}'),
            audit_changes_of('registry_check', personal => '{phone}'),
            -- What dispatch and the carrier's answers move.
            audit_changes_of('dial_control', ignored => '{tokens, refilled_at, served, served_floor, refused_calls, troubles,
                slow_factor, slowed_at, slowed_from, carrier_holds, carrier_hold_until, window_began_at, window_answers,
                window_troubles}');
end
$$;
