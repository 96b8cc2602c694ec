"""Who gives the command: what `audit` says under `who`."""

import getpass
import os


def name() -> str:
    """The person behind sudo where there is one, else the user of this process, else its number."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a user without an entry in passwd, as in many containers
        return f"uid {os.getuid()}"
