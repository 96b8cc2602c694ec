-- One statement, and nothing without a mark: yoyo would undo what a migration that failed has done, which goes on instead.
do $rollback$
begin
    if not exists (select from _yoyo_migration where migration_id = '0021_phone_key') then
        return;
    end if;

do $$
begin
    execute replace(replace(pg_get_functiondef('call_obstacle(call_log, bigint[], text[], timestamptz)'::regprocedure),
                            'phone_key(to_number) = phone_key($1.to_number)', 'to_number = $1.to_number'),
                    'phone_key(registry_check.phone) = phone_key($1.to_number)', 'registry_check.phone = $1.to_number');
end
$$;

create or replace function is_suppressed(phone text, business_id bigint, campaign_id bigint) returns boolean
language sql stable parallel safe
return exists (
    select
      from suppression
     where suppression.phone = is_suppressed.phone
       and coalesce(suppression.business_id, is_suppressed.business_id) = is_suppressed.business_id
       and (suppression.campaign_id is null or suppression.campaign_id = is_suppressed.campaign_id)
);

create or replace function has_consent(business_id bigint, phone text) returns boolean
language sql stable parallel safe
return exists (
    select
      from consent
     where consent.business_id = has_consent.business_id
       and consent.phone = has_consent.phone
       and consent.revoked_at is null
       and consent.given_at <= now()
       and (consent.expires_at is null or consent.expires_at > now())
);

drop index if exists registry_check_once;
alter table registry_check drop constraint if exists registry_check_pkey;
alter table registry_check add constraint registry_check_pkey primary key (phone);

drop index if exists consent_once;
alter table consent drop constraint if exists consent_pkey;
alter table consent add constraint consent_pkey primary key (business_id, phone);

drop index if exists suppression_once;
create unique index suppression_once on suppression (phone, coalesce(business_id, 0), coalesce(campaign_id, 0));

drop index if exists leads_one_per_phone;
create unique index leads_one_per_phone on leads (business_id, phone) where duplicate_of is null;

drop index if exists call_log_unchecked;
create index call_log_unchecked
    on call_log (to_number)
 where status = 'queued' and held_by = 'registry_check_old';

drop index if exists call_log_attempts;
create index call_log_attempts
    on call_log (business_id, to_number, dialed_at)
 where direction = 'outbound' and dialed_at is not null;

drop index if exists call_log_one_live;
create unique index call_log_one_live
    on call_log (business_id, to_number)
 where direction = 'outbound' and status in ('queued', 'claimed', 'initiated', 'ringing', 'in-progress');

drop statistics if exists call_log_phone_key;

drop function if exists phone_key(text);
end
$rollback$;
