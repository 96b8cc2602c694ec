-- What stops all dialing at this moment, apart from an operator's pause: shown by why, metrics and doctor.
-- depends: 0018_callee_zones

create table if not exists dialing_stop (
    cause  text primary key check (cause in ('broker', 'recovery')),
    since  timestamptz not null default now(),
    reason text not null  -- one sentence that says what is so and what to do
);
