drop index if exists leads_one_per_phone;
alter table leads drop column if exists duplicate_of;
