drop table if exists business_number;
alter table business drop column if exists twiml;
alter table business drop column if exists voice_url;
alter table business drop column if exists default_region;
alter table business drop column if exists time_zone;
