"""Take over the old runs as campaigns, and their waiting jobs as calls."""

from collections.abc import Sequence

from outbound import db
from outbound.adopt.batches import Run, give_fates, pages, read_numbers, slices

sql = db.statements("adopt/jobs")


def adopt_runs(run: Run) -> None:
    """A campaign for each run of which jobs wait, paused."""
    for batch in pages(run, "run"):
        give_fates(run, "run", batch, lambda of: sql.adopt_runs(run.connection, ids=list(of)))


def adopt_dialing(run: Run) -> None:
    """Jobs that were being dialed: asked for at the carrier, and never dialed."""
    for batch in _batches(run, "dialing"):
        give_fates(run, "job", batch, lambda of: _move(run, sql.adopt_dialing_jobs, of))


def adopt_waiting(run: Run) -> None:
    """Jobs that wait, oldest first; and the outcome of all others."""
    with run.connection.transaction():
        sql.reopen_jobs_of_ended_calls(run.connection)
    for batch in _batches(run, "waiting"):
        give_fates(run, "job", batch, lambda of: _move(run, sql.adopt_waiting_jobs, of))
    for batch in _batches(run, "over"):
        give_fates(run, "job", batch, lambda of: sql.write_job_fates(run.connection, ids=list(of)))


def _batches(run: Run, state: str) -> list[Sequence[int]]:
    return list(slices([row.id for row in sql.jobs(run.connection, businesses=run.scope, state=state)]))


def _move(run: Run, statement: object, ids: Sequence[int]) -> None:
    numbers = read_numbers(run, sql.phones_of_jobs(run.connection, ids=list(ids)))
    statement(run.connection, ids=list(ids), **numbers)  # type: ignore[operator]
