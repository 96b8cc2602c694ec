"""A table full of calls that have ended, as searches and exports find it after a year."""

from tests.bench.world import World

BATCH, ERROR = "bench", "13224"
NUMBER = "+12012000005"  # which was called some times
_NUMBERS = 199_999  # a prime, so that those of the batch differ
_BATCH_CALLS = 1000  # spread over the whole time

_CAMPAIGN = "insert into campaign (business_id, name) values (1, 'bench')"
_BATCH = "insert into batch (business_id, campaign_id, name, contents) values (1, 1, %s, array['none'])"
# A call each second, up to now: three of four were completed, one of sixteen of business 1's has an error.
_FILL = """
insert into call_log (business_id, campaign_id, batch_id, direction, from_number, to_number, status, call_sid,
                      idempotency_key, created_at, updated_at, due_at, dialed_at, answered_at, ended_at, duration_s,
                      answered_by, error_code, error_message, contact)
select business_id, campaign_id, case when campaign_id = 1 and n %% %s = 0 then 1 end, 'outbound',
       '+1500555' || lpad(business_id::text, 4, '0'), '+1201' || 2000000 + n %% %s, status,
       'CA' || lpad(to_hex(n), 32, '0'), 'row-' || n, at, at, at, at,
       case when status = 'completed' then at end, at,
       case when status = 'completed' then 9 end, case when status = 'completed' then 'human' end,
       case when status = 'failed' then %s::text end,
       case when status = 'failed' then 'The carrier refused the call.' end, '{"name": "Dana"}'
  from (select n, 1 + n %% 5 as business_id, case when n %% 10 = 0 then 1 end as campaign_id,
               now() - n * interval '1 s' as at,
               (array['completed', 'completed', 'busy', 'failed'])[1 + (n / 5) %% 4] as status
          from generate_series(1, %s::bigint) as n) as made
"""
_INDEXES = """
select indexrelid::regclass::text, pg_get_indexdef(indexrelid)
  from pg_index
 where indrelid = 'call_log'::regclass and not indisprimary
"""


def fill(here: World, rows: int) -> None:
    """Put so many ended calls in call_log; the indexes are made after them, as that takes a tenth of the time."""
    here.sql(_CAMPAIGN)
    here.sql(_BATCH, BATCH)
    indexes = here.sql(_INDEXES)
    for name, _ in indexes:
        here.sql(f"drop index {name}")
    here.sql("alter table call_log disable trigger user")
    here.sql(_FILL, max(10, rows // _BATCH_CALLS // 10 * 10), _NUMBERS, ERROR, rows)
    here.sql("alter table call_log enable trigger user")
    for _, definition in indexes:
        here.sql(definition)
    here.sql("vacuum analyze call_log")
