-- suppression.sql: the do-not-call list.  Read by outbound/rules/suppression.py alone.
-- The claim (call_obstacle) and begin_dials read this table before each dial.  The statement that changes one writes
-- the audit too: of a file, one row for each chunk that brought something new.  A number stands for its
-- telephone, in whichever form it is written (phone_key).  One that was forgotten is never written again: triggers see to
-- that, and such a row counts as there already.

-- name: suppress_number(phone, business_id, campaign_id, reason, who, scope, key)^
-- Nobody may call this number from now on; its calls that wait end at once.
--
-- Moves    queued, claimed -> canceled
-- Returns  `created`, false where it was on the list already; how many calls were `canceled`
-- Races    a worker that begins to dial first wins: its row is 'initiated'.  A claim that saw no entry yet is waited
--          for, and what it claimed ends here.  A call that is enqueued meanwhile finds the entry at its claim
-- Undo     unsuppress_number; the calls stay canceled
with entry as (
    insert into suppression (phone, business_id, campaign_id, reason)
    values (:phone, :business_id, :campaign_id, :reason)
    on conflict do nothing
    returning id
), waiting as (
    select call_log.id
      from business
     inner join call_log on call_log.business_id = business.id
     where (business.id = :business_id or :business_id::bigint is null)
       and (call_log.campaign_id = :campaign_id or :campaign_id::bigint is null)
       and phone_key(call_log.to_number) = phone_key(:phone)
       and call_log.direction = 'outbound'
       and call_log.status in ('queued', 'claimed')
     order by call_log.id
       for update of call_log
), moved as (
    update call_log
       set status = 'canceled',
           error_code = 'suppressed',
           error_message = obstacle_sentence('suppressed'),
           stopped_by = :who,
           stop_reason = nullif(:reason::text, ''),
           ended_at = now(),
           overdue_at = null,
           held_by = null
      from waiting
     where call_log.id = waiting.id and status in ('queued', 'claimed')
    returning call_log.id
), counted as (
    insert into counter (name, label, value)
    select name, label, calls
      from (select count(*) as calls from moved) as ended
     cross join (values ('ended', 'canceled'), ('refused_by_rule', 'suppressed')) as news (name, label)
     where calls > 0
     order by name, label
    on conflict (name, label, slot) do update set value = counter.value + excluded.value
), audited as (
    insert into audit (who, action, scope, key, details)
    values (:who, 'suppress', :scope, :key,
            jsonb_build_object('phone', case when not is_forgotten(:phone) then :phone::text end,
                               'reason', :reason::text,
                               'new', exists (select from entry), 'canceled', (select count(*) from moved)))
)
select exists (select from entry) as created, (select count(*) from moved) as canceled;

-- name: unsuppress_number(phone, business_id, campaign_id, who, scope, key)$
-- Take the entry of exactly this scope off the list; a wider or a narrower one still holds.
--
-- Returns  how many entries that were, none or one
with removed as (
    delete from suppression
     where phone_key(phone) = phone_key(:phone)
       and coalesce(business_id, 0) = coalesce(:business_id, 0)
       and coalesce(campaign_id, 0) = coalesce(:campaign_id, 0)
    returning phone, reason, created_at
), audited as (
    insert into audit (who, action, scope, key, details)
    select :who, 'unsuppress', :scope, :key, to_jsonb(removed) from removed
)
select count(*) from removed;

-- name: suppress_numbers(phones, reasons, business_id, campaign_id, who, scope, key, details)$
-- A chunk of a do-not-call file.  Its calls that wait are left to the claim, which ends each when it is due: to look
-- for a million numbers in the queue here would take longer, and lock rows that dispatch wants.
--
-- Returns  how many entries are new
-- Races    imports of the same numbers: sorted, so that they wait for each other instead of locking each other out
with entry as (
    insert into suppression (phone, business_id, campaign_id, reason)
    select phone, :business_id, :campaign_id, reason
      from unnest(:phones::text[], :reasons::text[]) as given (phone, reason)
     order by phone_key(phone)
    on conflict do nothing
    returning id
), total as (
    select count(*) as entries from entry
), audited as (
    insert into audit (who, action, scope, key, details)
    select :who, 'import_suppressions', :scope, :key, :details::jsonb || jsonb_build_object('new', entries)
      from total
     where entries > 0
)
select entries from total;

-- name: known_of(phone, business_id)
-- Returns  what stands of a number: for everybody and one business, or, without one, all that there is
select 'do_not_call' as fact, business_id, campaign_id, created_at as since, null::timestamptz as until, reason as words
  from suppression
 where phone_key(phone) = phone_key(:phone)
   and coalesce(:business_id, business_id, 0) = coalesce(business_id, :business_id, 0)
union all
select case when revoked_at is null then 'consent' else 'consent_revoked' end, business_id, null,
       coalesce(revoked_at, given_at), case when revoked_at is null then expires_at end, source
  from business
 inner join consent on consent.business_id = business.id and phone_key(consent.phone) = phone_key(:phone)
 where business.id = coalesce(:business_id, business.id)
union all
select case when is_listed then 'registry_listed' else 'registry_clear' end, null, null, checked_at, null, ''
  from registry_check
 where phone_key(phone) = phone_key(:phone)
union all
select 'forgotten', null, null, forgotten_at, null, ''
  from forgotten
 where hash = person_hash(:phone)
 order by fact, business_id nulls first, campaign_id nulls first;

-- name: list_entries(before_id, business_id, campaign_id, everybody, page_max)
-- Returns  entries of the do-not-call list, newest first: of a campaign, of a business and its campaigns, those for
--          everybody, or all
with place as materialized (
    -- Where the planner does not know them, it takes each arm's index in its order; and where the order begins with the
    -- scope, and the scope is a range, no other index has it: by the primary key, all newer entries would be passed.
    select coalesce(:before_id::bigint, 9223372036854775807) as last_id, :page_max::bigint as most
), page as (
    (select id, business_id, campaign_id, created_at
       from suppression
      where campaign_id between :campaign_id::bigint and :campaign_id::bigint
        and id < (select last_id from place)
      order by campaign_id desc, id desc
      limit (select most from place))
    union all
    (select id, business_id, campaign_id, created_at
       from suppression
      where business_id between :business_id::bigint and :business_id::bigint
        and :campaign_id::bigint is null
        and id < (select last_id from place)
      order by business_id desc, id desc
      limit (select most from place))
    union all
    (select id, business_id, campaign_id, created_at
       from suppression
      where business_id is null
        and :everybody::boolean
        and :business_id::bigint is null
        and :campaign_id::bigint is null
        and id < (select last_id from place)
      order by id desc
      limit (select most from place))
    union all
    (select id, business_id, campaign_id, created_at
       from suppression
      where :business_id::bigint is null
        and :campaign_id::bigint is null
        and not :everybody::boolean
        and id < (select last_id from place)
      order by id desc
      limit (select most from place))
)
select page.id, page.business_id, business.name as business, page.campaign_id, campaign.name as campaign,
       page.created_at
  from page
  left join business on business.id = page.business_id
  left join campaign on campaign.id = page.campaign_id
 order by page.id desc;

-- name: words_of_entries(ids)
-- Returns  what of these entries not every role may see
select id, phone, reason from suppression where id = any(:ids::bigint[]);
