-- audit.sql: who did what, and is what is written still what was written.  Read by outbound/rules/audit.py alone.

-- name: list_audit(rows_max, before_place)
-- Returns  the latest entries in the order of their commits, oldest first: what operators did (`audit`) and which rows
--          were changed, by whatever program (`audit_change`); before one place of the chain, or all
select place, entry.*
  from (select *
          from audit_link
         where place < coalesce(:before_place::bigint, 9223372036854775807)
         order by place desc
         limit :rows_max) as link
 inner join lateral (
       select at, who, db_user, os_user, action, scope, key, details
         from audit
        where source = 'audit' and id = entry_id
        union all
       select at, coalesce(who, os_user, db_user, ''), db_user, os_user, action, scope, key, details
         from audit_change
        where source = 'audit_change' and id = entry_id
 ) as entry on true
 order by place;

-- name: head()^
-- Returns  the last `place` of the chain and its `hash`, in hexadecimal digits; nothing where that row was removed
select place, encode(hash, 'hex') as hash from audit_head;

-- name: link_at(place)$
-- Returns  the hash of one link, in hexadecimal digits; nothing where there is none
select encode(hash, 'hex') from audit_link where place = :place;

-- name: first_fault()^
-- Check each link against its entry, the link before it and the head; and that each entry has one.
--
-- Returns  the first that is wrong: its `place` in the chain, the `entry` and the `fault`; nothing where all is well
with entry as (
    select 'audit' as source, id, at, who, db_user, os_user, action, scope, key, details from audit
    union all
    select 'audit_change', id, at, who, db_user, os_user, action, scope, key, details from audit_change
), erased as materialized (
    -- What may be blank: each of them is named by an entry that stays.
    select 'audit' as source, named.id::bigint as id
      from audit
     cross join lateral jsonb_array_elements_text(details -> 'audit') as named (id)
     where action = 'erase'
    union
    select 'audit_change', named.id::bigint
      from audit
     cross join lateral jsonb_array_elements_text(details -> 'audit_change') as named (id)
     where action = 'erase'
), link as (
    select place, source, entry_id, content, hash,
           lag(place, 1, 0::bigint) over chain as place_before, lag(hash, 1, ''::bytea) over chain as hash_before
      from audit_link
    window chain as (order by place)
), judged as (
    select link.place, link.source || ' ' || link.entry_id as entry,
           case
               when link.place <> link.place_before + 1 then 'missing_link'
               when entry.id is null then 'removed'
               when entry.details ? 'erased' and (entry.source, entry.id) not in (select source, id from erased)
                   then 'erased_by_nobody'
               when not entry.details ? 'erased'
                   and link.content <> audit_content(entry.who, entry.key, entry.details) then 'changed'
               when link.hash <> audit_hash(link.hash_before, link.place, link.source, link.entry_id, entry.at,
                                            entry.db_user, entry.os_user, entry.action, entry.scope, link.content)
                   then 'changed'
           end as fault
      from link
      left join entry on entry.source = link.source and entry.id = link.entry_id
    union all
    select 9223372036854775806, entry.source || ' ' || entry.id, 'inserted'
      from entry
     where not exists (select from audit_link where source = entry.source and entry_id = entry.id)
    union all
    -- The head and the last link are written together.
    select 9223372036854775807, 'the end', 'cut_off'
      from (select max(place) as place from audit_link) as last
      left join audit_head on true
     where coalesce(audit_head.place, -1) <> coalesce(last.place, 0)
        or coalesce(audit_head.hash, '\xff') is distinct from coalesce((select hash
                                                                         from audit_link
                                                                        where place = last.place), '')
)
select place, entry, fault from judged where fault is not null order by place, entry limit 1;

-- name: write_audit(who, action, scope, key, details)!
-- Record who changed what, in the transaction that changes it.
insert into audit (who, action, scope, key, details) values (:who, :action, :scope, :key, :details::jsonb);
