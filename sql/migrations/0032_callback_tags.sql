-- Callbacks name their call by an unguessable part of their path, and what they say of a call that was never dialed is
-- asked about before it counts.
-- depends: 0029_identity_schema

-- While the version before may still have calls in the air, its callbacks come without that part.  No row: none do.
create table if not exists untagged_callback (
    only_row       boolean primary key default true check (only_row),
    dialed_before  timestamptz not null,  -- workers of the version before may dial a little longer
    accepted_until timestamptz not null
);

insert into untagged_callback (dialed_before, accepted_until)
select now() + interval '1 hour', now() + interval '1 day'
 where exists (select from call_log)
on conflict do nothing;

-- May callbacks of a call that was dialed then come without a tag?
create or replace function takes_untagged(dialed_at timestamptz) returns boolean
language sql stable parallel safe
as $$
    select coalesce((select $1 < dialed_before and now() < accepted_until from untagged_callback), false)
$$;

-- A callback that the carrier signed for a call which this database says was never dialed: the call is held until the
-- carrier was asked.  A row stays when it is answered, so that the same callback sent again asks nothing.
create table if not exists call_in_question (
    call_id    bigint not null references call_log (id) on delete cascade,
    call_sid   text not null,
    at         timestamptz not null default now(),
    was_paused boolean not null,  -- an operator held the call before: it stays held
    looks      integer not null default 0,
    looked_at  timestamptz null,
    answer     text null,  -- what the carrier knew of it: `adopted`, `absent`, `other_call`; or `moved_on`, nobody asked
    primary key (call_id, call_sid)
);

create index if not exists call_in_question_open on call_in_question (at) where answer is null;
