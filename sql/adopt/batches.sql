-- batches.sql: take over what the system before has, and give it back.
-- Read by outbound/adopt alone, with calls.sql and jobs.sql.
-- The old tables are read by the views of migration 0027.  Whatever moves here says so in `adopted`, in the same
-- transaction: a run that was killed goes on from there, and what has its outcome is not touched again.

-- name: take_adopt_lock()$
-- One `outbound adopt` at a time, for as long as this connection lives.
--
-- Returns  true where we have the lock now; false where another one has it
select pg_try_advisory_lock(hashtext('outbound.adopt'));

-- name: still_bridge()!
-- What is taken over in this transaction is there already: it is not written back to the old tables.
select set_config('outbound.bridge', 'off', true) as bridge;

-- name: find_old_tables(old_schema)^
-- Returns  what there is of the old tables, read from the catalog alone; `is_ours` where they are outbound's own
with relation as (
    select relname, pg_class.oid
      from pg_class
     inner join pg_namespace on pg_namespace.oid = relnamespace
     where nspname = :old_schema and relkind in ('r', 'p', 'v', 'm', 'f')
), field as (
    select relname, attname
      from relation
     inner join pg_attribute on attrelid = relation.oid
     where attnum > 0 and not attisdropped
)
select exists (select from pg_namespace where nspname = :old_schema) as has_schema,
       array(select name
               from unnest(array['business', 'leads', 'call_log']) as needed (name)
              where name not in (select relname from relation)
              order by name) as missing,
       exists (select from field where relname = 'call_log' and attname = 'fence') as is_ours,
       exists (select from relation where relname = 'outbound_call_runs')
       and exists (select from field where relname = 'outbound_call_jobs' and attname = 'status') as has_jobs,
       exists (select from field where relname = 'outbound_call_jobs' and attname = 'call_sid') as has_job_sids,
       exists (select from field where relname = 'business' and attname in ('is_active', 'active')) as knows_activity,
       case when current_schema() not like 'pg\_temp\_%' then current_schema()::text end as our_schema;

-- name: find_lacking_grants(old_schema)
-- Returns  `mend`: a statement for each right that this role lacks
with relation as (
    select relname, pg_class.oid, relowner
      from pg_class
     inner join pg_namespace on pg_namespace.oid = relnamespace
     where nspname = :old_schema and relkind in ('r', 'p')
), wanted (relname, privilege) as (
    values ('business', 'select'), ('business_settings', 'select'), ('leads', 'select'), ('leads', 'insert'),
           ('leads', 'update'), ('call_log', 'select'), ('call_log', 'insert'), ('call_log', 'update'),
           ('outbound_call_runs', 'select'), ('outbound_call_jobs', 'select'), ('outbound_call_jobs', 'update')
), lacking as (
    select relname, string_agg(privilege, ', ' order by privilege) as privileges
      from wanted
     inner join relation using (relname)
     where not has_table_privilege(relation.oid, privilege)
     group by relname
)
select format('grant usage on schema %I to %I', nspname, current_user) as mend
  from pg_namespace
 where nspname = :old_schema and not has_schema_privilege(oid, 'usage')
union all
select format('grant %s on %I.%I to %I', privileges, :old_schema::text, relname, current_user) from lacking
union all
select distinct format('grant usage on sequence %s to %I', sequence.oid::regclass, current_user)
  from relation
 inner join pg_attrdef on adrelid = relation.oid
 inner join pg_depend on classid = 'pg_attrdef'::regclass and objid = pg_attrdef.oid
 inner join pg_class as sequence on refclassid = 'pg_class'::regclass and refobjid = sequence.oid
 where relation.relname in ('leads', 'call_log')
   and case when sequence.relkind = 'S' then not has_sequence_privilege(sequence.oid, 'usage') end
union all
select format('alter table %I.call_log add column if not exists error_message text, add column if not exists'
              ' error_code varchar(64) /* as its owner %I */', :old_schema::text, pg_get_userbyid(relowner))
  from relation
 where relname = 'call_log'
   and not pg_has_role(relowner, 'usage')
   and 2 > (select count(*)
              from pg_attribute
             where attrelid = relation.oid and attname in ('error_message', 'error_code') and not attisdropped);

-- name: find_adoption()^
-- Returns  the present adoption, or nothing
select id, old_schema, error_columns_added, stamp, redis_set_aside from adoption where undone_at is null;

-- name: begin_adoption(old_schema, who)^
-- Moves    (nothing) -> the present adoption, where there is none
-- Returns  the present adoption; `is_new` where it begins now
-- Undo     end_adoption
with begun as (
    insert into adoption (old_schema, begun_by, stamp)
    values (:old_schema, :who, to_char(now() at time zone 'UTC', 'YYYYMMDD"T"HH24MISS'))
    on conflict do nothing
    returning id, old_schema, error_columns_added, stamp, true as is_new
), noted as (
    insert into audit (who, action, scope, key, details)
    select :who, 'adopt', 'account', '', jsonb_build_object('old_schema', :old_schema::text) from begun
)
select * from begun
union all
select id, old_schema, error_columns_added, stamp, false from adoption where undone_at is null
 limit 1;

-- name: make_old_views(old_schema)!
-- Undo     drop_old_views
select make_old_views(:old_schema);

-- name: drop_old_views()!
select drop_old_views();

-- name: add_error_columns(old_schema)$
-- The owners' own first fix, without which their clean-up dies; remembered, so that undo drops no column of theirs.
--
-- Returns  the columns that were not there
with added as materialized (
    select add_old_error_columns(:old_schema) as columns
), noted as (
    update adoption set error_columns_added = error_columns_added || columns from added where undone_at is null
)
select columns from added;

-- name: drop_error_columns(old_schema, added)$
-- Returns  those that stay, since something is in them
select drop_old_error_columns(:old_schema, :added::text[]);

-- name: retake_businesses(businesses)!
-- Businesses that were given back are taken over again: these, or all of them.
--
-- Moves    undone -> adopted; paused since it was given back -> running
-- Undo     end_businesses
with taken as (
    update adopted
       set fate = 'adopted'
     where kind = 'business'
       and fate = 'undone'
       and (:businesses::bigint[] is null or old_id = any(:businesses::bigint[]))
    returning new_id
)
update dial_control
   set state = 'running', state_reason = null, state_since = now()
  from taken
 where scope = 'business' and key = taken.new_id::text and state_reason = 'It was given back to the system before.';

-- name: end_businesses(businesses)!
-- These, or all of them, are the system before's again; nothing more is dialed for them here.
--
-- Moves    adopted -> undone; running -> paused
-- Undo     retake_businesses
with given as (
    update adopted
       set fate = 'undone'
     where kind = 'business'
       and fate = 'adopted'
       and (:businesses::bigint[] is null or old_id = any(:businesses::bigint[]))
    returning new_id
)
insert into dial_control (scope, key, state, state_reason, state_since)
select 'business', new_id::text, 'paused', 'It was given back to the system before.', now() from given
on conflict (scope, key) do update
   set state = excluded.state, state_reason = excluded.state_reason, state_since = excluded.state_since
 where dial_control.state <> 'paused';

-- name: end_adoption(who)!
-- Moves    the present adoption -> undone
-- Undo     begin_adoption begins another one
with ended as (
    update adoption set undone_at = now() where undone_at is null returning old_schema
)
insert into audit (who, action, scope, key, details)
select :who, 'adopt_undo', 'account', '', jsonb_build_object('old_schema', old_schema) from ended;

-- name: reopen(businesses, since)!
-- What was left alone for a reason that may be gone is looked at again: a live call that has ended, a longer history, a
-- phone that was corrected.
--
-- Moves    adopted -> (nothing)
delete from adopted
 where fate in ('inbound_stays', 'odd_direction', 'no_business', 'lead_stays', 'no_phone', 'no_own_number',
                'odd_status', 'run_empty', 'odd_run', 'run_over', 'odd_row')
       and (:businesses::bigint[] is null
            or business_id is null
            or business_id in (select new_id
                                 from adopted as own
                                where own.kind = 'business' and own.old_id = any(:businesses::bigint[])))
    or kind = 'call'
       and fate = 'older'
       and exists (select
                     from old_call_meaning
                    where old_call_meaning.id = old_id and coalesce(began_at >= :since::timestamptz, true));

-- name: list_businesses(businesses)
-- Returns  the old businesses in scope that were not taken over yet
select old_business.id, old_business.name, phone, coalesce(old_settings.time_zone, old_business.time_zone) as time_zone,
       hours_json, coalesce(old_settings.hours, old_business.hours) as hours,
       coalesce(old_settings.days, old_business.days) as days, is_active
  from old_business
  left join old_settings on old_settings.business_id = old_business.id
 where (:businesses::bigint[] is null or old_business.id = any(:businesses::bigint[]))
   and not exists (select from adopted where kind = 'business' and old_id = old_business.id)
 order by old_business.id;

-- name: adopt_business(old_id, name, time_zone, region, phone)^
-- Take a business over, under its own id where that is free here.
--
-- Moves    (nothing) -> business, business_number
-- Returns  our id; `zone_unknown` where this server does not know the zone, and UTC counts; `number_taken` where the
--          number is another business's here
-- Races    a number that is given to another business at this moment is waited for
with place as materialized (
    select case
               when exists (select from business where id = :old_id)
                   then nextval(pg_get_serial_sequence('business', 'id'))
               else :old_id::bigint
           end as id,
           present_zone(:time_zone) as zone
), added as (
    insert into business (id, name, time_zone, default_region)
    select id, :name, coalesce(zone, 'UTC'), :region from place
    returning id
), numbered as (
    insert into business_number (phone, business_id)
    select :phone, id from added where :phone::text is not null
    on conflict do nothing
    returning phone
)
select id, (select zone is null from place) as zone_unknown,
       :phone::text is not null and not exists (select from numbered) as number_taken
  from added;

-- name: move_business_ids()!
-- The next business that is added gets an id that none of these has.
select setval(pg_get_serial_sequence('business', 'id'),
              greatest(max(id), nextval(pg_get_serial_sequence('business', 'id'))))
  from business;

-- name: pause(scope, key, reason)!
-- Nothing is dialed in this scope until an operator resumes it.
--
-- Undo     resume_scope in control.sql
insert into dial_control (scope, key, state, state_reason, state_since)
values (:scope, :key, 'paused', :reason, now())
on conflict (scope, key) do update
   set state = excluded.state, state_reason = excluded.state_reason, state_since = excluded.state_since;

-- name: owe_leads_that_were_made()!
-- The leads that were made here of calls without one are written to the old leads by the bridge, a few at a time.
--
-- Moves    (nothing) -> due at the bridge, by the lead's newest call, where no old lead is linked to it yet
insert into bridge_due (kind, call_id, state)
select distinct on (call_log.lead_id) 'lead', call_log.id, 'adopted'
  from adopted
 inner join call_log on call_log.id = adopted.new_id
 where kind = 'call'
   and fate = 'lead_made'
   and not exists (select from adopted as linked where linked.kind = 'lead' and linked.new_id = call_log.lead_id)
 order by call_log.lead_id asc, call_log.created_at desc, call_log.id desc
    on conflict do nothing;

-- name: write_fate(kind, old_id, new_id, business_id, fate, note)!
insert into adopted (kind, old_id, new_id, business_id, fate, note)
values (:kind, :old_id, :new_id, :business_id, :fate, :note)
on conflict do nothing;

-- name: page(kind, businesses, before, batch_max)
-- Returns  ids of old rows in scope that have no outcome, newest first: of one call_sid the newest row is its call
(select old_call.id
   from old_call
  where :kind = 'call'
    and old_call.id < :before
    and (:businesses::bigint[] is null or old_call.business_id = any(:businesses::bigint[]))
    and not exists (select from adopted where adopted.kind = 'call' and adopted.old_id = old_call.id)
  order by old_call.id desc
  limit :batch_max)
union all
(select old_lead.id
   from old_lead
  where :kind = 'lead'
    and old_lead.id < :before
    and (:businesses::bigint[] is null or old_lead.business_id = any(:businesses::bigint[]))
    and not exists (select from adopted where adopted.kind = 'lead' and adopted.old_id = old_lead.id)
  order by old_lead.id desc
  limit :batch_max)
union all
(select old_run.id
   from old_run
  where :kind = 'run'
    and old_run.id < :before
    and (:businesses::bigint[] is null or old_run.business_id = any(:businesses::bigint[]))
    and not exists (select from adopted where adopted.kind = 'run' and adopted.old_id = old_run.id)
  order by old_run.id desc
  limit :batch_max);

-- name: count_fates()
-- Returns  how many old rows of each business have which outcome
select business_id, kind, fate, count(*) as rows
  from adopted
 group by business_id, kind, fate
 order by business_id nulls last, kind, fate;

-- name: list_adopted_businesses()
-- Returns  the businesses that were taken over, and the doubts about them, one to a line
select adopted.old_id, business.id, business.name, adopted.fate, adopted.note,
       coalesce(business.voice_url, business.twiml) is not null as can_speak,
       exists (select from business_number where business_id = business.id) as has_number
  from adopted
  left join business on business.id = adopted.new_id
 where kind = 'business'
 order by business.id nulls last, adopted.old_id;

-- name: list_campaigns()
-- Returns  the campaigns that were made of runs and are paused, and how many calls wait in each
select campaign.id, campaign.business_id, campaign.name,
       (select count(*) from call_log where campaign_id = campaign.id and status = 'queued') as waiting
  from adopted
 inner join campaign on campaign.id = adopted.new_id
 inner join dial_control on scope = 'campaign' and key = campaign.id::text
 where kind = 'run' and fate = 'campaign_made' and state = 'paused'
 order by campaign.id;

-- name: wait_briefly(wait_s)!
-- For the rest of this transaction: wait for no lock longer than that.
select set_config('lock_timeout', (:wait_s::float8 * 1000)::integer::text, true) as lock_timeout;

-- name: days_ago(days)$
-- Returns  the moment so many days ago, by the database's clock; nothing where days is NULL
select now() - make_interval(days => :days::integer);

-- name: has_adoption()$
-- Returns  is there a table in which an adoption could stand
select to_regclass('adoption') is not null;

-- name: not_adopted(businesses)
-- Returns  those of the ids that no old business has which was taken over
select id
  from unnest(:businesses::bigint[]) as given (id)
 where not exists (select from adopted where kind = 'business' and fate = 'adopted' and old_id = given.id);

-- name: jobs_not_here(ids)
-- Returns  those of the old jobs that lie in the old dialer's lists, and neither wait here nor are held back here
select id
  from unnest(:ids::bigint[]) as given (id)
 where not exists (select
                     from adopted
                    where kind = 'job' and old_id = given.id and fate in ('queued_here', 'same_number', 'in_the_air'))
 order by id;

-- name: call_sids_of(call_sids, businesses)
-- Returns  those of the call_sids that calls of these old businesses have
select call_log.call_sid
  from call_log
 inner join adopted as own on own.kind = 'business' and own.fate = 'adopted' and own.new_id = call_log.business_id
 where call_log.call_sid = any(:call_sids::text[]) and own.old_id = any(:businesses::bigint[]);

-- name: count_unknown_sids(call_sids)$
-- Returns  how many of the call_sids no call here has
select count(*)
  from unnest(:call_sids::text[]) as given (call_sid)
 where not exists (select from call_log where call_log.call_sid = given.call_sid);

-- name: note_redis()!
-- Something was set aside in the old Redis: an undo has to give it back.
update adoption set redis_set_aside = true where undone_at is null;

-- name: dialed_jobs(businesses)
-- Returns  the old jobs of which a phone may have rung here; read from the keys of their calls, which an undo leaves
select split_part(idempotency_key, ':', 3)::bigint as old_id
  from adopted
 inner join call_log on call_log.business_id = adopted.new_id
 where kind = 'business'
   and (:businesses::bigint[] is null or old_id = any(:businesses::bigint[]))
   and idempotency_key like 'adopt:job:%'
   and (dialed_at is not null or call_sid is not null);
