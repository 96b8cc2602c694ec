-- May callbacks of a call that was dialed then come without a tag?
create or replace function takes_untagged(dialed_at timestamptz) returns boolean
language sql stable parallel safe
as $$
    select coalesce((select $1 < dialed_before and now() < accepted_until from untagged_callback), false)
$$;
