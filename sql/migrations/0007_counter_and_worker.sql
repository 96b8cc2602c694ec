-- Totals that grow where the thing happens, and which workers are alive.
-- depends: 0006_call_event

-- Several slots per total, so that writers seldom wait for each other; a reader adds them up.
create table if not exists counter (
    name  text not null,
    label text not null,
    slot  integer not null,
    value bigint not null,
    primary key (name, label, slot)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- When a duty (a rule of clean-up, reconcile) last succeeded.
create table if not exists duty (
    name            text primary key,
    last_success_at timestamptz not null default now()
) with (fillfactor = 50);

create table if not exists worker (
    id      uuid primary key,
    threads integer not null check (threads > 0),
    seen_at timestamptz not null default now()
) with (fillfactor = 50);
