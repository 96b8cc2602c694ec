"""Set aside a call whose row raises an error in every statement, so that the others go on."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from outbound import db, logs

sql = db.statements("calls/set_aside")
log = logs.get("set_aside")

T = TypeVar("T")


def each(step: str, call_ids: Iterable[int], work: Callable[[int], T]) -> list[T]:
    """
    Do *work* for each call by itself, after it failed for all of them together; a call that fails again is set aside.

    Returns:
        what *work* returned, without the calls that were set aside.

    Raises:
        Error: the fault is not one call's; what was done until then is done.
    """
    done: list[T] = []
    for call_id in call_ids:
        try:
            done.append(work(call_id))
        except db.Error as error:
            set_aside(step, call_id, error)
    return done


def set_aside(step: str, call_id: int, error: Exception) -> None:
    """
    Close a call at which *step* raised *error*, and keep it out of every later step.

    Raises:
        Error: *error* itself, where it is the database's and not one that a row raises by what it holds.
    """
    if isinstance(error, db.Error) and not db.is_of_a_row(error):
        raise error
    state, message = db.fault(error)
    if db.run(sql.set_aside, call_id=call_id, step=step, state=state, message=message):
        log.error("set_aside.call", call_id=call_id, step=step, state=state)
