"""One person: all that is known of them, and being forgotten."""

import time
from collections import defaultdict
from typing import Any

from outbound import db, logs, names
from outbound.call import WAITING
from outbound.errors import UserError
from outbound.formats import numbering_plan, phone_numbers

sql = db.statements("calls/person")
log = logs.get("person")

MINUTES_MAX = 15  # of one statement: each looks at every row
LATE_WAIT_S = 10  # for transactions that began before the person was on the list, and may bring them back
_LOOK_S = 0.1

LEFT_ALONE = (
    "backups, replicas that lag and archived WAL hold what they held: let them expire; after a restore, forget again",
    "the carrier keeps its own records of calls: delete them there",
    "what receivers of webhooks and readers of the stream received is theirs",
    "files that were imported, and whatever another program read, are not ours",
)
OLD_TABLES = "the tables of the system before belong to its owners and were not touched"


class BadPerson(UserError):
    """It cannot be done for this number; the message says why and what to do, and nothing was changed."""


def show(number: str, *, region: str | None = None) -> dict[str, Any]:
    """
    All that is known of a person, by table: for an access request.  Changes nothing.

    Args:
        number: any writing of a number that an import takes.
        region: two letters, like IL: the country of numbers without a code; by default the businesses' one.

    Returns:
        `number` in E.164; `is_forgotten`; `known`, the rows of each table that hold the number, or
        belong to such a call.

    Raises:
        BadPerson: it is no number, or one of a business's own.
    """
    phone = _phone(number, region)

    def read(connection: db.Connection) -> dict[str, Any]:
        db.allow_minutes(connection, MINUTES_MAX)
        known: dict[str, list[Any]] = defaultdict(list)
        for row in sql.mentions(connection, phone=phone, **_search(phone)):
            known[row.source].append(row.content)
        return {"number": phone, "is_forgotten": sql.is_forgotten(connection, phone=phone), "known": dict(known)}

    return db.transact(read)


def forget(number: str, *, actor: str, region: str | None = None) -> dict[str, Any]:
    """
    Delete all that is known of a person, in one transaction, and keep them from ever coming back.

    What stays is a keyed hash, which the claim and every write of a number are compared with.  What is about others and
    only mentions the number keeps its row, without the number.

    Args:
        number, region: as of `show`.
        actor: the person who decided it, for the audit.

    Returns:
        the receipt, without the number: `at`, `was_on_list`, rows `deleted` and `rewritten` by table, `audit_erased`,
        `audit_entry`, and what is `left_alone`.

    Raises:
        BadPerson: as of `show`; or a call with them is live.
    """
    phone = _phone(number, region)
    search = _search(phone)

    def move(connection: db.Connection) -> tuple[str, dict[str, Any]]:
        db.allow_minutes(connection, MINUTES_MAX)
        _refuse_live(sql.lock_calls(connection, **search))
        is_new = sql.put_on_list(connection, phone=phone)
        began = sql.this_transaction(connection)
        receipt = {"at": began.at.isoformat(), "was_on_list": not is_new} | _erase(connection, phone, actor)
        receipt["left_alone"] = [*LEFT_ALONE, *([OLD_TABLES] if sql.has_old_tables(connection) else [])]
        receipt["audit_entry"] = sql.note(connection, who=actor, details=db.json(receipt))
        return began.id, receipt

    transaction, receipt = db.transact(move)
    _sweep_late(transaction, phone, actor, receipt)
    log.info("person.forgotten", audit_entry=receipt["audit_entry"])
    return receipt


def _erase(connection: db.Connection, phone: str, actor: str) -> dict[str, Any]:
    """Delete and rewrite; what is live by now was put in the queue by a transaction that did not know of the list."""
    search = _search(phone)
    calls = [call for call in sql.lock_calls(connection, **search) if not call.is_live or call.status in WAITING]
    sql.cancel_late(connection, call_ids=[call.id for call in calls if call.is_live])
    gone = {"call_ids": [call.id for call in calls], "phone": phone, "pattern": search["pattern"]}
    deleted = sql.delete_person(connection, **gone)._asdict()
    renamed = sql.unname_batches(connection, pattern=search["pattern"])
    sql.unname_requests(connection, pattern=search["pattern"])
    rewritten = ({"batch": renamed} if renamed else {}) | {
        row.source: row.changed for row in sql.unmention(connection, **search)
    }
    erased = sql.erase_audit(connection, phone=phone, who=actor, **search)
    return {"deleted": deleted, "rewritten": rewritten, "audit_erased": erased}


def _sweep_late(transaction: str, phone: str, actor: str, receipt: dict[str, Any]) -> None:
    """Once who may have written without knowing of the list has ended, delete what they wrote; see `receipt`."""
    deadline = time.monotonic() + LATE_WAIT_S
    while not db.run(sql.are_over, id=transaction) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)

    def move(connection: db.Connection) -> dict[str, Any]:
        db.allow_minutes(connection, MINUTES_MAX)
        return _erase(connection, phone, actor)

    late = db.transact(move)
    for name in ("deleted", "rewritten"):
        for table, rows in late[name].items():
            receipt[name][table] = receipt[name].get(table, 0) + rows
    receipt["audit_erased"] += late["audit_erased"]
    if not db.run(sql.are_over, id=transaction):
        receipt["left_alone"].append(
            "a transaction is open since before: forget this number once more when it has ended"
        )


def _refuse_live(calls: list[db.Row]) -> None:
    live = [f"{call.id} ({call.status})" for call in calls if call.is_live]
    if live:
        named = ", ".join(live[:10]) + (f" and {len(live) - 10} more" if len(live) > 10 else "")
        raise BadPerson(
            f"a call with this person is live: {named}; `outbound suppress add … --everybody` cancels what waits,"
            " `outbound stop call ID` hangs up; forget them when it has ended"
        )


def _phone(number: str, region: str | None) -> str:
    """The number in E.164, or raise BadPerson."""
    if region is None:
        region = names.region_of()
    elif fault := phone_numbers.region_fault(region):
        raise BadPerson.about("region", fault)
    try:
        phone = phone_numbers.read(number, region and region.upper())
    except phone_numbers.NoPhoneNumber as refusal:
        raise BadPerson(f"what was given {refusal.or_with_option()}") from None
    if db.run(sql.is_own_number, phone=phone):
        raise BadPerson("this is the number of a business or a campaign, and no person's: see `outbound business list`")
    return phone


# How people and programs write a number.

_GAP = "[-. ()/\u00a0]{0,3}"  # between two digits
_BARE_MIN = 8  # digits; a shorter number needs a 0 or its country's code in front to be taken for one
_CORE = 7  # last digits, which all writings share


def _search(phone: str) -> dict[str, str]:
    """Return what finds *phone* in a text: see rows_that_mention in SQL."""
    written = "|".join(_writings(form) for form in numbering_plan.forms(phone))
    # After an escape of a URL, digits are not those of another number: %2B972…
    return {"core": phone[-_CORE:], "pattern": f"(?:(?<![0-9])|(?<=%[0-9A-Fa-f]{{2}}))(?:{written})(?![0-9])"}


def _writings(phone: str) -> str:
    code, national, inside = numbering_plan.parts(phone)
    abroad = f"(?:(?:00|011){_GAP})?{_GAP.join(code)}{_GAP}(?:0{_GAP})?"
    bare = "|(?<![+])" if len(national) >= _BARE_MIN else ""  # behind a plus it is another country's number
    front = f"(?:{abroad}|0{_GAP}{bare})"
    other = "" if inside.endswith(national) else f"|{_GAP.join(inside)}"  # Argentina's 15
    return f"{front}{_GAP.join(national)}{other}"
