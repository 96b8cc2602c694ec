-- One lead per business and phone.  The old system made several: all are kept, and point to the oldest.
-- Run while nobody dials: the upgrade from the old system, whose tables are small, may lock them.
-- squawk-ignore-file require-concurrent-index-creation, adding-foreign-key-constraint, adding-not-nullable-field
-- depends: 0003_business_voice_and_numbers

alter table leads add column if not exists duplicate_of bigint null references leads (id);

update leads
   set duplicate_of = oldest.id
  from (select business_id, phone, min(id) as id
          from leads
         where duplicate_of is null
         group by business_id, phone) as oldest
 where leads.business_id = oldest.business_id
   and leads.phone = oldest.phone
   and leads.id <> oldest.id
   and leads.duplicate_of is null;

create unique index if not exists leads_one_per_phone on leads (business_id, phone) where duplicate_of is null;
