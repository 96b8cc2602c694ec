"""A process that ends with the one that started it, also where that one was killed; on Linux alone."""

import ctypes
import os
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def die_with(parent_pid: int, stop_signal: int) -> Callable[[], None] | None:
    """
    Return what a child must call to get *stop_signal* when the thread that started it dies; None off Linux.

    As `preexec_fn` of subprocess it runs between fork and exec; the look-up is made here because there it might hang.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, int(stop_signal))
        if os.getppid() != parent_pid:  # it died before the signal was requested
            os._exit(1)

    return ask
