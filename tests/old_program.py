"""What the rest of the old product goes on doing to its tables: each statement by the name of its trade."""

# ruff: noqa: S608  (constants of this file alone)

from tests.old_system import Shape

# The moment that the program writes, so that two databases with the same rows stay the same to the byte.
AT = "timestamp '2026-05-04 09:00:00'"
WORDS = (
    *("received", "initiated", "ringing", "in_progress", "streaming", "answered", "completed", "busy", "no-answer"),
    *("failed", "canceled", "ended", "recorded", "processed", "rejected_capacity", "hangup"),
)
TOUCHED = (1, 20, 24, 25, 41, 60)  # old calls: history, live with and without a call_sid, stale, inbound, odd

CLEAN_UP = f"""
update call_log set status = 'failed', error_message = 'No call_sid', error_code = 'no_call_sid', updated_at = {AT}
 where call_sid is null and status in ('initiated', 'ringing', 'in-progress')
   and created_at < (now() - interval '60 s') at time zone 'UTC'
"""

_CALLS = {
    "reserve a call": f"insert into call_log (business_id, from_number, to_number, direction, status, created_at,"
    f" updated_at) values (1, '+97235550001', '+972509990001', 'outbound', 'initiated', {AT}, {AT})",
    "reserve a call to a number that waits": f"insert into call_log (business_id, from_number, to_number, direction,"
    f" status, created_at) values (1, '+97235550001', '+972502000001', 'outbound', 'initiated', {AT})",
    "note an inbound call": f"insert into call_log (business_id, from_number, to_number, direction, call_sid, status,"
    f" created_at) values (1, '+972509990002', '+97235550001', 'inbound', 'CA{1:032x}', 'in_progress', {AT})",
    "note an inbound call without a call_sid": f"insert into call_log (business_id, direction, status, created_at)"
    f" values (1, 'inbound', 'received', {AT})",
    "heal a row that is missing": f"insert into call_log (business_id, call_sid, direction, status) values"
    f" (1, 'CA{2:032x}', 'unknown', 'completed')",
    "note a call_sid twice": "insert into call_log (business_id, call_sid, direction, status)"
    " select 1, call_sid, 'outbound', 'ringing' from call_log where call_sid like 'CA%' order by id limit 1",
    "look for duplicates": "select id from call_log where to_number = '+972502000001' and direction = 'outbound' and"
    " status in ('initiated', 'ringing', 'in-progress') and (call_sid is not null or created_at >"
    " (now() - interval '60 s') at time zone 'UTC')",
    "clean up": CLEAN_UP,
    "read whole calls": "select * from call_log order by id",
    "read whole leads": "select * from leads order by id",
    "read whole businesses": "select * from business order by id",
}

_WHOLE = {
    **{
        f"call {old_id} is {word}": f"update call_log set status = '{word}', updated_at = {AT} where id = {old_id}"
        for old_id in TOUCHED
        for word in WORDS
    },
    "the twin says in-progress": "update call_log set call_status = 'in-progress' where id = 24",
    "a call gets its call_sid": f"update call_log set call_sid = 'CA{3:032x}', status = 'ringing' where id = 24",
    "a recording is there": "update call_log set recording_url = 'https://example.com/r', recording_count = 1,"
    " status = 'recorded' where id = 2",
    "a call gets another lead": "update call_log set lead_id = 2 where id = 1",
    "a call loses its lead": "update call_log set lead_id = null where id = 3",
    "add a lead by hand": f"insert into leads (tenant_id, name, phone_e164, source, status, created_at) values"
    f" (1, 'By hand', '+972509990003', 'manual', 'new', {AT})",
    "add a second lead of a phone": f"insert into leads (tenant_id, phone_e164, source, external_id, status,"
    f" created_at) values (1, '+972501234501', 'whatsapp', 'wamid.1', 'new', {AT})",
    "add a lead by a form": "insert into leads (tenant_id, phone_e164) values (1, '+972501234509')",
    "correct a phone to one that another lead has": "update leads set phone_e164 = '+972501234501' where id = 5",
    "correct the phone of a lead that waits": "update leads set phone_e164 = '+972501234508' where id = 101",
    "name a lead": f"update leads set name = 'Dana Levi', last_contact_at = {AT}, tags = '[\"hot\"]' where id = 1",
    "delete a lead of nobody": "delete from leads where id = 139",
    "delete a lead that a job has": "delete from leads where id = 101",
    "delete a lead that a call has": "delete from leads where id = 1",
    "make a run": "insert into outbound_call_runs (id, business_id, status) values (900, 1, 'pending')",
    "make a job": "insert into outbound_call_jobs (id, run_id, lead_id, business_id) values (900, 900, 140, 1)",
    "make a job twice": "insert into outbound_call_jobs (run_id, lead_id, business_id) values (900, 140, 1)",
    "a job is dialed": f"update outbound_call_jobs set status = 'calling', call_sid = 'CA{4:032x}' where id = 900",
    "a run counts": "update outbound_call_runs set in_progress_count = 1, status = 'running' where id = 900",
    "read whole jobs": "select * from outbound_call_jobs order by id",
    "add a business": "insert into business (id, name, business_type, phone_number, is_active) values"
    " (901, 'New', 'other', '+97235559901', true)",
    "rename a business": "update business set name = 'Cohen and sons' where id = 1",
    "delete a business's calls": "delete from call_log where business_id = 6",
    "delete a business": "delete from business where id = 6",
    "delete a business that has leads": "delete from business where id = 1",
    "forget which call a job had": "update outbound_call_jobs set call_log_id = null where business_id = 1",
    "delete the calls of the busy one": "delete from call_log where business_id = 1",
}

_SMALL = {
    **{
        f"call {old_id} is {word}": f"update call_log set status = '{word}', updated_at = {AT} where id = {old_id}"
        for old_id in (1, 2, 3)
        for word in WORDS
    },
    "add a second lead of a phone": f"insert into leads (business_id, phone, created_at) values"
    f" (1, '+972501234501', {AT})",
    "correct a phone to one that another lead has": "update leads set phone = '+972501234501'",
    "delete all leads": "delete from leads",
    "add a business": "insert into business (id, name) values (901, 'New')",
    "delete a business's calls": "delete from call_log where business_id = 1",
    "delete a business": "delete from business where id = 1",
}


def statements(shape: Shape) -> dict[str, str]:
    """The statements that the old program sends in a system of this shape, in order."""
    return {**_CALLS, **(_SMALL if shape == "small" else _WHOLE)}
