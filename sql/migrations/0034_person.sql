-- A person who was forgotten stays so: what is left of them is a keyed hash, and nothing with their number comes in again.
-- depends: 0033_audit

-- The do-not-call list of people whose number we no longer have.  It holds for everybody.
create table if not exists forgotten (
    hash         bytea primary key,  -- person_hash of the number
    forgotten_at timestamptz not null default now()
);

-- While nobody was forgotten it costs a page.
create or replace function is_forgotten(phone text) returns boolean
language sql stable parallel safe
return exists (select from forgotten)
   and exists (select from forgotten where hash = person_hash(is_forgotten.phone));

create or replace function is_suppressed(phone text, business_id bigint, campaign_id bigint) returns boolean
language sql stable parallel safe
return exists (
    select
      from suppression
     where phone_key(suppression.phone) = phone_key(is_suppressed.phone)
       and coalesce(suppression.business_id, is_suppressed.business_id) = is_suppressed.business_id
       and (suppression.campaign_id is null or suppression.campaign_id = is_suppressed.campaign_id)
) or is_forgotten(is_suppressed.phone);

-- A row with the number of somebody who was forgotten is not written, and nothing else of the statement is lost by that.
create or replace function forgotten_stay_out() returns trigger
language plpgsql as $$
begin
    if is_forgotten(new.phone) then
        return null;
    end if;
    return new;
end
$$;

create or replace function forgotten_stay_out_of_calls() returns trigger
language plpgsql as $$
begin
    if is_forgotten(case when new.direction = 'inbound' then new.from_number else new.to_number end) then
        return null;
    end if;
    return new;
end
$$;

-- Looked at once for a statement: while nobody was forgotten, a row costs a comparison.
create or replace function forgotten_are_looked_for() returns trigger
language plpgsql as $$
begin
    perform set_config('outbound.some_forgotten', case when exists (select from forgotten) then 'yes' else 'no' end, true);
    return null;
end
$$;

-- The columns of our tables that can hold a text with a number in it, as one expression for each table, and what takes it
-- out.  Calls with the number are deleted, not rewritten.  What yoyo keeps is not ours.
create or replace function columns_with_text()
returns table (source text, content text, assignments text)
language sql stable
as $$
    select relname::text,
           'concat_ws(chr(10), ' || string_agg(format('%I::text', attname), ', ' order by attnum) || ')',
           string_agg(case
                          when type = 'jsonb'
                              then format('%1$I = regexp_replace(%1$I::text, $2, ''0'', ''g'')::jsonb', attname)
                          when attname = 'idempotency_key'  -- they stay different
                              then format('%1$I = case when %1$I ~ $2 then ''forgotten:'' || id else %1$I end', attname)
                          else format('%1$I = regexp_replace(%1$I::text, $2, ''forgotten'', ''g'')::%2$s', attname, type)
                      end, ', ' order by attnum)
               filter (where (relname, attname) not in (('call_log', 'from_number'), ('call_log', 'to_number')))
      from (select relname, attname, attnum, format_type(atttypid, atttypmod) as type
              from pg_class
             inner join pg_attribute on attrelid = pg_class.oid
             where relnamespace = current_schema()::regnamespace
               and relkind in ('r', 'p')
               and relname not like '%yoyo%'
               and attnum > 0
               and not attisdropped
               and attgenerated = ''
               and format_type(atttypid, null) in ('text', 'character varying', 'character', 'json', 'jsonb', 'text[]', 'xml')
           ) as found
     group by relname
$$;

-- Every row of ours in which a number stands, whichever way it is written there.
--
-- `core` are digits that each writing has in a row once its separators are gone; `pattern` is a regular expression of all
-- writings.  The first is fast, the second is right.
create or replace function rows_that_mention(core text, pattern text)
returns table (source text, content jsonb)
language plpgsql stable
as $$
declare
    place record;
begin
    for place in select * from columns_with_text() order by 1 loop
        return query execute format(
            'select %1$L::text, to_jsonb(found) from %1$I as found '
            'where position($1 in translate(%2$s, '' -./()'' || chr(160), '''')) > 0 and %2$s ~ $2',
            place.source, place.content)
        using core, pattern;
    end loop;
end
$$;

-- Put a word, or in JSON a 0, in the place of a number in all texts of ours but those of the audit, which has its own way.
create or replace function unmention(core text, pattern text)
returns table (source text, changed bigint)
language plpgsql
as $$
declare
    place record;
begin
    for place in select * from columns_with_text() where columns_with_text.source not like 'audit%' order by 1 loop
        execute format(
            'update %1$I set %3$s where position($1 in translate(%2$s, '' -./()'' || chr(160), '''')) > 0 and %2$s ~ $2',
            place.source, place.content, place.assignments)
        using core, pattern;
        get diagnostics changed = row_count;
        if changed > 0 then
            source := place.source;
            return next;
        end if;
    end loop;
end
$$;

do $$
declare
    target text;
begin
    foreach target in array array['forgotten_are_looked_for()', 'forgotten_stay_out()',
                                  'forgotten_stay_out_of_calls()'] loop
        execute format('alter function %s set search_path = %I, pg_temp', target, current_schema());
    end loop;
end
$$;

do $$
declare
    before_it text := current_setting('lock_timeout');
begin
    for attempt in 1..100 loop
        begin
            perform set_config('lock_timeout', '500ms', true);
            lock table call_log, consent, leads, registry_check, suppression in share row exclusive mode;
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

    create or replace trigger call_log_forgotten_look before insert on call_log
    for each statement execute function forgotten_are_looked_for();
    create or replace trigger call_log_forgotten before insert on call_log
    for each row when (current_setting('outbound.some_forgotten', true) is distinct from 'no')
    execute function forgotten_stay_out_of_calls();
    create or replace trigger consent_forgotten_look before insert on consent
    for each statement execute function forgotten_are_looked_for();
    create or replace trigger consent_forgotten before insert on consent
    for each row when (current_setting('outbound.some_forgotten', true) is distinct from 'no')
    execute function forgotten_stay_out();
    create or replace trigger leads_forgotten_look before insert on leads
    for each statement execute function forgotten_are_looked_for();
    create or replace trigger leads_forgotten before insert on leads
    for each row when (current_setting('outbound.some_forgotten', true) is distinct from 'no')
    execute function forgotten_stay_out();
    create or replace trigger registry_check_forgotten_look before insert on registry_check
    for each statement execute function forgotten_are_looked_for();
    create or replace trigger registry_check_forgotten before insert on registry_check
    for each row when (current_setting('outbound.some_forgotten', true) is distinct from 'no')
    execute function forgotten_stay_out();
    create or replace trigger suppression_forgotten_look before insert on suppression
    for each statement execute function forgotten_are_looked_for();
    create or replace trigger suppression_forgotten before insert on suppression
    for each row when (current_setting('outbound.some_forgotten', true) is distinct from 'no')
    execute function forgotten_stay_out();
    perform audit_changes_of('forgotten');
end
$$;
