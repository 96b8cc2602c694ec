"""The database of the system before, as its owners have it: whole, with their own fix, and a small one."""

from typing import Literal

Shape = Literal["whole", "fixed", "small"]

WHOLE = """
create table business (
    id serial primary key, name varchar(255) not null, business_type varchar(64) not null,
    phone_number varchar(64), whatsapp_number varchar(64), is_active boolean, created_at timestamp, updated_at timestamp
);
create table business_settings (
    tenant_id integer primary key references business (id), ai_prompt text, timezone varchar(64),
    working_hours varchar(64), opening_hours_json json, working_days varchar(64), updated_at timestamp
);
create table customer (
    id serial primary key, business_id integer not null references business (id), name varchar(255),
    phone_e164 varchar(64)
);
create table outbound_lead_lists (
    id serial primary key, tenant_id integer not null references business (id), name varchar(255), created_at timestamp
);
create table leads (
    id serial primary key, tenant_id integer not null references business (id), first_name varchar(128),
    last_name varchar(128), name varchar(255), name_source varchar(32), phone_e164 varchar(64), phone_raw varchar(64),
    email varchar(255), source varchar(32) default 'form', external_id varchar(128), status varchar(32) default 'New',
    order_index integer default 0, outbound_list_id integer references outbound_lead_lists (id), owner_user_id integer,
    tags jsonb, notes text, last_call_direction varchar(16), created_at timestamp, updated_at timestamp,
    last_contact_at timestamp
);
create index ix_leads_tenant_id on leads (tenant_id);
create index ix_leads_phone_e164 on leads (phone_e164);
create index ix_leads_external_id on leads (external_id);
create table call_log (
    id serial primary key, business_id integer not null references business (id),
    customer_id integer references customer (id), lead_id integer references leads (id), outbound_template_id integer,
    detected_topic_id integer, project_id integer, call_sid varchar(64), parent_call_sid varchar(64),
    recording_sid varchar(64), from_number varchar(64), to_number varchar(64), direction varchar(16) default 'inbound',
    twilio_direction varchar(32), duration integer, status varchar(32), call_status varchar(32),
    recording_url varchar(512),
    recording_mode varchar(32), recording_count integer default 0, transcription text, summary text,
    final_transcript text,
    extracted_service varchar(255), stream_started_at timestamp, stream_ended_at timestamp, customer_name varchar(255),
    summary_status varchar(32) check (summary_status in ('pending', 'processing', 'completed', 'failed')),
    created_at timestamp, updated_at timestamp
);
create unique index uq_call_log_call_sid on call_log (call_sid) where call_sid is not null and call_sid <> '';
create index ix_call_log_business_id on call_log (business_id);
create index ix_call_log_lead_id on call_log (lead_id);
create index ix_call_log_created_at on call_log (created_at);
create index ix_call_log_business_created on call_log (business_id, created_at);
create index ix_call_log_from_number on call_log (from_number);
create index ix_call_log_parent on call_log (parent_call_sid);
create index ix_call_log_recording on call_log (recording_sid);
create index ix_call_log_direction on call_log (direction);
create index ix_call_log_customer on call_log (customer_id);
create table outbound_call_runs (
    id serial primary key, business_id integer not null references business (id),
    outbound_list_id integer references outbound_lead_lists (id), concurrency integer default 3,
    total_leads integer default 0,
    queued_count integer default 0, in_progress_count integer default 0, completed_count integer default 0,
    failed_count integer default 0, status varchar(32) default 'pending', cancel_requested boolean default false,
    created_at timestamp, updated_at timestamp, completed_at timestamp
);
create table outbound_call_jobs (
    id serial primary key, run_id integer not null references outbound_call_runs (id),
    lead_id integer not null references leads (id), business_id integer not null references business (id),
    call_log_id integer references call_log (id), status varchar(32) default 'queued', call_sid varchar(64),
    twilio_call_sid varchar(64), dial_started_at timestamp, dial_lock_token varchar(64), error_message text,
    created_at timestamp, started_at timestamp, completed_at timestamp, unique (run_id, lead_id)
);
create index ix_jobs_status on outbound_call_jobs (run_id, status);
create table background_jobs (id serial primary key, business_id integer, kind varchar(64), status varchar(32));
create table users (id serial primary key, business_id integer, email varchar(255));
"""

FIX = """
alter table call_log add column error_message text;
alter table call_log add column error_code varchar(64);
"""

SMALL = """
create table business (id serial primary key, name varchar(255) not null, phone_e164 varchar(64));
create table leads (
    id serial primary key, business_id integer not null references business (id), phone varchar(64), name varchar(255),
    created_at timestamp
);
create table call_log (
    id serial primary key, business_id integer not null references business (id), call_sid varchar(64),
    from_number varchar(64), to_number varchar(64), direction varchar(16), status varchar(32), created_at timestamp,
    updated_at timestamp
);
create index ix_call_log_call_sid on call_log (call_sid);
"""

TABLES = {
    "whole": (
        "business", "business_settings", "customer", "outbound_lead_lists", "leads", "call_log", "outbound_call_runs",
        "outbound_call_jobs", "background_jobs", "users",
    ),
    "small": ("business", "leads", "call_log"),
}  # fmt: skip


def tables_sql(shape: Shape) -> str:
    """The statements that make the tables of an old system, without rows."""
    return {"whole": WHOLE, "fixed": WHOLE + FIX, "small": SMALL}[shape]


def tables(shape: Shape) -> tuple[str, ...]:
    """The names of the tables of an old system."""
    return TABLES["small" if shape == "small" else "whole"]


def digest_sql(table: str) -> str:
    """A statement for a digest of every byte of a table, in the order of its ids."""
    key = "tenant_id" if table == "business_settings" else "id"
    return f"select md5(coalesce(string_agg({table}::text, E'\\n' order by {key}), '')) from public.{table}"  # noqa: S608


def call_sid(old_id: int) -> str:
    """The call_sid of an old call of ROWS."""
    return f"CA{old_id:0>32}"


def sid(number: int) -> str:
    """A call_sid."""
    return f"CA{number:032x}"


# Businesses: 1 as most are; 2 Hebrew name and hours by JSON; 3 without settings; 4 inactive,
# hours that nobody can read;
# 5 whose number is no number; 6 whose number is that of business 1.
ROWS = r"""
insert into business (id, name, business_type, phone_number, is_active, created_at) values
    (1, 'Cohen Plumbing', 'plumbing', '+97235550001', true, now()),
    (2, 'מרפאת השרון', 'clinic', '03-555-0002', true, now()),
    (3, 'No settings', 'other', '+97235550003', true, null),
    (4, 'Asleep', 'other', '+97235550004', false, now()),
    (5, 'No number', 'other', 'call the office', null, now()),
    (6, 'Twin', 'other', '+97235550001', true, now());
insert into business_settings (tenant_id, timezone, working_hours, opening_hours_json, working_days) values
    (1, 'Asia/Jerusalem', '09:00-18:00', null, null),
    (2, 'Asia/Jerusalem', null, '{"sun": [["08:00", "16:00"]], "mon": [["08:00", "12:00"], ["14:00", "18:00"]]}', null),
    (4, 'Mars/Olympus', 'always', null, null),
    (5, 'Israel', '08:00-18:00', null, 'sun-thu');
insert into leads (id, tenant_id, name, phone_e164, source, status, created_at, updated_at) values
    (1, 1, 'Dana', '+972501234501', 'form', 'new', now() - interval '30 d', now()),
    (2, 1, 'Dana again', '+972501234501', 'whatsapp', 'new', now() - interval '3 d', now()),
    (3, 1, 'Local writing', '050-123-4502', 'manual', 'contacted', null, null),
    (4, 1, null, null, 'form', 'New', now(), now()),
    (5, 1, 'Nonsense', 'later', 'form', 'New', now(), now()),
    (6, 2, 'Avi', '+972501234506', 'imported_outbound', 'new', now(), now()),
    (7, 1, 'Live one', '+972501234507', 'imported_outbound', 'new', now(), now()),
    (8, 1, 'Live two', '+972501234508', 'imported_outbound', 'new', now(), now());
insert into leads (id, tenant_id, name, phone_e164, source, status, created_at)
select 100 + n, 1, 'Lead ' || n, '+97250200' || lpad(n::text, 4, '0'), 'imported_outbound', 'new', now()
  from generate_series(1, 40) as n;
insert into call_log (id, business_id, call_sid, direction, from_number, to_number, status, call_status, lead_id,
    duration,
                      created_at, updated_at)
select id, coalesce(business, 1), case when call_sid like 'CA%' then 'CA' || lpad(id::text, 32, '0') else call_sid end,
       direction, coalesce(from_number, '+97235550001'), to_number, status, call_status, lead_id, duration,
       (now() - age) at time zone 'UTC', (now() - age) at time zone 'UTC'
  from (values
        -- History: the words of an end, and those that were written over it.
        (1, null::int, 'CA', 'outbound', null, '+972501234501', 'completed', 'completed', 1, 60, interval '9 d'),
        (2, null, 'CA', 'outbound', null, '+972501234501', 'recorded', 'completed', 2, 61, '8 d'),
        (3, null, 'CA', 'outbound', null, '+972501234502', 'processed', 'completed', 3, 62, '7 d'),
        (4, null, 'CA', 'outbound', null, '+972501234504', 'processed', null, null, 63, '6 d'),
        (5, null, 'CA', 'outbound', null, '+972501234505', 'ended', null, null, 5, '5 d'),
        (6, null, 'CA', 'outbound', null, '+972501234509', 'busy', 'busy', null, 0, '5 d'),
        (7, null, 'CA', 'outbound', null, '+972501234510', 'no-answer', 'no-answer', null, 0, '5 d'),
        (8, null, 'CA', 'outbound', null, '+972501234511', 'failed', 'failed', null, null, '5 d'),
        (9, null, 'CA', 'outbound', null, '+972501234512', 'canceled', 'canceled', null, null, '5 d'),
        (10, null, null, 'outbound', null, '+972501234513', 'rejected_capacity', null, null, null, '4 d'),
        (11, null, 'CA', 'outbound', null, '+972501234514', 'in_progress', 'completed', null, 70, '4 d'),
        (12, null, 'CA', 'outbound', null, '+972501234515', 'streaming', 'completed', null, 70, '4 d'),
        (13, null, 'CA', 'outbound', null, '+972501234516', 'a word of a media event', 'completed', null, 7, '4 d'),
        (14, null, 'CA', 'outbound', null, '+972501234517', 'a word of a media event', null, null, 7, '4 d'),
        -- Live, or so they say.
        (20, null, 'CA', 'outbound', null, '+972501234507', 'in_progress', 'in-progress', null, null, '2 min'),
        (21, null, 'CA', 'outbound', null, '+972501234508', 'ringing', null, null, null, '20 s'),
        (22, null, 'CA', 'outbound', null, '+972501234522', 'streaming', null, null, null, '3 min'),
        (23, null, 'CA', 'outbound', null, '+972501234523', 'answered', null, null, null, '3 min'),
        (24, null, null, 'outbound', null, '+972501234524', 'initiated', null, null, null, '40 s'),
        (25, null, null, 'outbound', null, '+972501234525', 'initiated', null, null, null, '40 d'),
        (26, null, '', 'outbound', null, '+972501234526', 'ringing', null, null, null, '2 d'),
        (27, null, 'CA', 'outbound', null, '+972501234527', 'initiated', null, null, null, '90 d'),
        (28, null, null, 'outbound', null, '+972501234528', 'queued', null, null, null, '1 d'),
        -- Two at once to one number.
        (29, null, 'CA', 'outbound', null, '+972501234529', 'in_progress', null, null, null, '1 min'),
        (30, null, null, 'outbound', null, '+972501234529', 'initiated', null, null, null, '30 s'),
        -- Inbound.
        (40, null, 'CA', 'inbound', '+972501234540', '+97235550001', 'processed', 'completed', null, 90, '1 d'),
        (41, null, 'CA', 'inbound', '+972501234541', '+97235550001', 'in_progress', null, null, null, '1 min'),
        (42, null, 'CA', 'inbound', 'anonymous', '+97235550001', 'completed', 'completed', null, 4, '1 d'),
        (43, null, null, 'inbound', null, '+97235550001', 'received', null, null, null, '2 d'),
        -- Odd ones.
        (50, null, 'CA', 'unknown', null, '+972501234550', 'completed', null, null, 4, '2 d'),
        (51, null, 'CA', null, null, '+972501234551', 'completed', null, null, 4, '2 d'),
        (52, null, 'CA', 'outbound', null, 'not a number', 'completed', null, null, 4, '2 d'),
        (53, null, 'CA', 'outbound', null, null, 'completed', null, null, 4, '2 d'),
        (54, null, 'CA', 'outbound', 'nobody', '+972501234554', 'completed', null, null, 4, '2 d'),
        (55, null, 'CA', 'outbound', null, '050-123-4555', 'completed', null, null, 4, '2 d'),
        (56, null, 'odd', 'outbound', null, '+972501234556', 'completed', null, null, -4, '2 d'),
        (57, null, 'CA', 'outbound', null, '+972501234557', null, null, null, null, '2 d'),
        (58, null, 'CA', 'outbound', null, '+972501234558', '', '', null, null, '2 d'),
        (59, 6, 'CA', 'outbound', null, '+972501234559', 'completed', 'completed', null, 3, '2 d'),
        (60, null, 'CA', 'outbound-api', null, '+972501234560', 'completed', null, null, 4, null),
        (61, null, null, 'outbound', null, '+972501234561', 'initiated', null, null, null, null)
       ) as row (id, business, call_sid, direction, from_number, to_number, status, call_status, lead_id, duration,
       age);
insert into outbound_lead_lists (id, tenant_id, name) values (1, 1, 'May'), (2, 2, 'Clinic');
insert into outbound_call_runs (id, business_id, outbound_list_id, concurrency, status, cancel_requested) values
    (1, 1, 1, 3, 'running', false), (2, 2, 2, 1, 'pending', false), (3, 1, 1, 3, 'running', true),
    (4, 1, 1, 3, 'completed', false), (5, 1, 1, null, 'paused', null);
insert into outbound_call_jobs (id, run_id, lead_id, business_id, status)
select n, 1, 100 + n, 1, 'queued' from generate_series(1, 30) as n;
insert into outbound_call_jobs (id, run_id, lead_id, business_id, call_log_id, status, call_sid, twilio_call_sid) values
    (101, 1, 7, 1, 20, 'calling', null, 'CA' || lpad('20', 32, '0')),  -- its call is live
    (102, 1, 8, 1, null, 'dialing', null, null),  -- nobody knows whether it was dialed
    (103, 1, 1, 1, 1, 'completed', null, null),
    (104, 1, 2, 1, null, 'queued', null, null),  -- the number of 103's lead
    (105, 1, 3, 1, null, 'queued', null, null),  -- in local writing
    (106, 1, 4, 1, null, 'queued', null, null),  -- a lead without a number
    (107, 1, 5, 1, null, 'queued', null, null),  -- a lead whose number is none
    (108, 2, 6, 2, null, 'queued', null, null),
    (109, 3, 131, 1, null, 'queued', null, null),  -- of a run that was canceled
    (110, 4, 132, 1, null, 'queued', null, null),  -- of a run that is over
    (111, 5, 133, 1, null, 'queued', null, null),
    (112, 1, 134, 1, null, null, null, null),
    (113, 1, 135, 1, null, 'an odd word', null, null),
    (114, 5, 136, 1, null, 'failed', null, null),
    (115, 5, 101, 1, null, 'queued', null, null);  -- the lead of job 1, in another run
select setval(pg_get_serial_sequence(name, 'id'), 1000)
  from unnest(array['business', 'leads', 'call_log', 'outbound_lead_lists', 'outbound_call_runs',
  'outbound_call_jobs']) as name;
"""

SMALL_ROWS = r"""
insert into business (id, name, phone_e164) values (1, 'Small', '+97235550001');
insert into leads (business_id, phone, name, created_at) values (1, '+972501234501', 'Dana', now());
insert into call_log (business_id, call_sid, direction, from_number, to_number, status, created_at, updated_at) values
    (1, 'CA' || lpad('1', 32, '0'), 'outbound', '+97235550001', '+972501234501', 'completed', now(), now()),
    (1, null, 'outbound', '+97235550001', '+972501234502', 'initiated', now() - interval '1 h', now()),
    (1, 'CA' || lpad('3', 32, '0'), 'outbound', '+97235550001', '+972501234503', 'recorded', now(), now());
select setval(pg_get_serial_sequence('business', 'id'), 1000);
"""


def rows_sql(shape: Shape) -> str:
    """Rows of every kind that was seen in such a system."""
    return SMALL_ROWS if shape == "small" else ROWS
