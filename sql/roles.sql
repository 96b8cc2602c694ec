-- roles.sql: who may do what in the schema that holds our tables.  Run by `outbound roles`, or by psql:
--
--     outbound psql -v ON_ERROR_STOP=1 --single-transaction -f roles.sql
--
-- Run it after each `outbound migrate`, as a superuser or as the owner of the tables; the first time, it must be
-- allowed to create roles.  It may be run twice.  `set outbound.role_prefix = 'calls'` before it names the roles
-- calls_owner and so on, instead of outbound_owner; they have no login: give each account its role with
-- `create user … password … in role outbound_application`.
--
--   owner        has the tables: migrates, rolls back, adopts, forgets a person
--   application  worker, scheduler, web and the operators' commands: rows, and no structure; of an audit it may only add
--   reader       dashboards, and the operators' commands that only show: counts, ids, states and times; no phone number,
--                and nothing that somebody wrote
--   voice        a voice application: what is known of the callee of a call that is live, by its call_sid
--
-- What it rules is what belongs to the owner of call_log in this schema, or to an account that has the owner's role, so
-- that tables of others beside ours keep their owners and grants.  It goes by rules and not by a list: a table of a later migration is ruled, too.
do $roles$
declare
    home constant name := current_schema();
    prefix constant text := coalesce(nullif(current_setting('outbound.role_prefix', true), ''), 'outbound');
    the_owner constant text := prefix || '_owner';
    application constant text := prefix || '_application';
    reader constant text := prefix || '_reader';
    voice constant text := prefix || '_voice';
    everybody constant text := format('public, %I, %I, %I', prefix || '_application', prefix || '_reader',
                                      prefix || '_voice');
    -- A reader's columns: all that are no text, and texts that are one of few words.
    plain_types constant regtype[] := '{bigint,integer,smallint,boolean,real,double precision,numeric,timestamptz,timestamp,date,
                                        time,interval,uuid,int4multirange}';
    plain_words constant text[] := '{status,direction,call_sid,state,scope,error_code,answered_by,kind,cause,outcome,
                                     held_by,label,preset,time_zone,default_region,machine_detection,hang_up,step,
                                     migration_id,rule,used_up_cap,present,type}';
    -- What views call, and what asks for no number and shows none.
    plain_routines constant text[] := '{find_calls,scope_usage_now,call_status_rank,call_is_in_doubt,call_limit_s,
                                        period_start,present_zone,campaign_key}';
    named constant text[] := '{business,campaign,retry_ladder,calling_window,counter,duty,former_zone}';
    before oid;
    owners oid[];
    role text;
    target record;
begin
    if to_regclass('call_log') is null then
        raise exception 'there is no call_log in the schema %: run `outbound migrate` first', home;
    end if;
    select relowner into before from pg_class where oid = 'call_log'::regclass;
    perform set_config('lock_timeout', '5s', true);  -- behind a lock that is waited for, everybody waits

    foreach role in array array[the_owner, application, reader, voice] loop
        if not exists (select from pg_roles where rolname = role) then
            execute format('create role %I nologin', role);
        end if;
    end loop;
    if not pg_has_role(the_owner, 'usage') then
        execute format('grant %I to current_user', the_owner);
    end if;
    -- Processes that still sign in as the owner of before go on.
    if before <> quote_ident(the_owner)::regrole and not pg_has_role(before, the_owner, 'usage') then
        execute format('grant %I to %s', the_owner, before::regrole);
    end if;

    -- An account that has the owner's role, and migrates without `set role`, owns what it made.
    owners := array[before, quote_ident(the_owner)::regrole, quote_ident(current_user)::regrole]
              || array(select member from pg_auth_members where roleid = quote_ident(the_owner)::regrole);
    execute format('grant usage, create on schema %I to %I', home, the_owner);
    execute format('grant usage on schema %I to %I, %I, %I', home, application, reader, voice);
    if home <> 'public' then  -- that one is shared with others, who may rely on what they may do there
        execute format('revoke all on schema %I from public', home);
    end if;

    for target in
        select oid::regclass::text as name, relname, oid, relowner,
               case relkind when 'v' then 'view' when 'm' then 'materialized view' else 'table' end as kind
          from pg_class
         where relnamespace = quote_ident(home)::regnamespace
           and relkind in ('r', 'p', 'v', 'm')
           and relowner = any(owners)
           and not exists (select from pg_depend where classid = 'pg_class'::regclass and objid = pg_class.oid
                                                   and deptype = 'e')
         order by relname
    loop
        if target.relowner <> quote_ident(the_owner)::regrole then
            execute format('alter %s %s owner to %I', target.kind, target.name, the_owner);
        end if;
        execute format('revoke all on table %s from %s', target.name, everybody);
        execute format('grant %s on table %s to %I',
                       case
                           when target.kind <> 'table' or target.relname like '%yoyo%'
                               or target.relname in ('phone_zone', 'former_zone', 'number_range', 'person_key')
                               or target.relname like 'audit\_%' then 'select'  -- its triggers write as the owner
                           when target.relname in ('audit', 'forgotten') then 'select, insert'
                           else 'select, insert, update, delete'
                       end,
                       target.name, application);
        execute (
            select case when count(*) = 0 then 'select'
                        else format('grant select (%s) on table %s to %I', string_agg(quote_ident(attname), ', '),
                                    target.name, reader)
                   end
              from pg_attribute
             where attrelid = target.oid
               and attnum > 0
               and not attisdropped
               and (atttypid = any(plain_types)
                    or atttypid in ('text'::regtype, 'varchar'::regtype)
                           and (attname = any(plain_words)
                                or attname = 'name' and target.relname = any(named)))
        );
    end loop;

    for target in
        select pg_proc.oid::regprocedure::text as name, proname, proowner
          from pg_proc
         where pronamespace = quote_ident(home)::regnamespace
           and proowner = any(owners)
           and not exists (select from pg_depend where classid = 'pg_proc'::regclass and objid = pg_proc.oid
                                                   and deptype = 'e')
         order by 1
    loop
        if target.proowner <> quote_ident(the_owner)::regrole then
            execute format('alter routine %s owner to %I', target.name, the_owner);
        end if;
        execute format('revoke all on routine %s from %s', target.name, everybody);
        continue when target.proname in ('audit_write', 'audit_erase');  -- the owner's triggers and commands call them
        execute format('grant execute on routine %s to %I', target.name, application);
        if target.proname = 'call_contact' then
            execute format('grant execute on routine %s to %I', target.name, voice);
        end if;
        if target.proname = any(plain_routines) then
            execute format('grant execute on routine %s to %I', target.name, reader);
        end if;
    end loop;

    begin
        execute format('grant execute on function pg_catalog.pg_control_system() to %I', application);
    exception
        when insufficient_privilege then
            raise notice 'pg_control_system() is not granted: a superuser may, so that a restore is noticed for sure';
    end;
end
$roles$;
