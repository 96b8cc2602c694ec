"""Say whether a process of the host is running."""

import psutil


def is_running(process: psutil.Process | int) -> bool:
    """
    Say no of a process that has ended, whether or not its parent has waited for it, at any moment of its end.

    Args:
        process: the process, or its pid.
    """
    try:
        seen = psutil.Process(process) if isinstance(process, int) else process
        return seen.is_running() and seen.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:  # it ended between the questions
        return False
