-- What a business says on the phone, and which numbers are its own.
-- depends: 0002_call_log_error_fields

alter table business add column if not exists time_zone text not null default 'UTC';
alter table business add column if not exists default_region text null;
alter table business add column if not exists voice_url text null;
alter table business add column if not exists twiml text null;

-- A number belongs to one business at most: an inbound call is given to its owner or to nobody.
create table if not exists business_number (
    phone       text primary key check (phone ~ '^\+[1-9][0-9]{6,14}$'),
    business_id bigint not null references business (id),
    created_at  timestamptz not null default now()
);

create index if not exists business_number_by_business on business_number (business_id, created_at, phone);
