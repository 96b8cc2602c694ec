"""Say whether a process of the host is running."""

import psutil


def is_running(process: psutil.Process) -> bool:
    """Say no of a process that has ended, whether or not its parent has waited for it, at any moment of its end."""
    try:
        return process.is_running() and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:  # it ended between the two questions
        return False
