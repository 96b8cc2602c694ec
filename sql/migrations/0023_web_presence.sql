-- When callbacks could last have been lost: reconcile then asks about every live call at once.
-- depends: 0019_dialing_stop

create table if not exists web_presence (
    only_row   boolean primary key default true check (only_row),
    seen_at    timestamptz not null default now(),  -- when a web process last could write to this database
    lost_until timestamptz null  -- when one could write again, after none could for a while
) with (fillfactor = 50);
