-- Why a call failed.  Clean-up of the old system died for want of these two columns.
-- depends: 0001_business_call_log_leads

alter table call_log add column if not exists error_message text null;
-- squawk-ignore prefer-text-field
alter table call_log add column if not exists error_code varchar(64) null;
