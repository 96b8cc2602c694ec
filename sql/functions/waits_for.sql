-- What a queued call waits for: paused (by itself), due (its turn), not_due (its time), or what held it last when it was
-- claimed (held_by), while that lasts.
create or replace function waits_for(paused_at timestamptz, due_at timestamptz, held_by text) returns text
language sql stable
as $$
    select case
               when $1 is not null then 'paused'
               when $2 > now() then coalesce($3, 'not_due')
               else 'due'
           end
$$;
