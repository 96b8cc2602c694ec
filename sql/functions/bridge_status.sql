-- The status of an old row that says `theirs` and whose call is `ours` here, both in the old words.  What the recording
-- pipeline wrote over an end stays.  An end of ours replaces the rest; a live word of ours replaces an earlier one, and
-- `failed`, which the old clean-up writes where a call_sid is late.
create or replace function bridge_status(theirs text, ours text) returns text
language sql immutable parallel safe
return case
    when theirs in ('recorded', 'processed') then theirs
    when ours in ('completed', 'busy', 'no-answer', 'failed', 'canceled') then ours
    when coalesce(theirs, '') in ('', 'received', 'queued', 'failed', 'initiated') then ours
    when theirs = 'ringing' and ours <> 'initiated' then ours
    when theirs in ('in-progress', 'answered') and ours = 'in_progress' then ours
    else theirs
end;
