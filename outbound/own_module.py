"""Runs a module of ours in a process of its own."""

import sys


def command(module: str, *arguments: str) -> list[str]:
    """
    The command that runs *module* with this Python, and imports nothing from the directory where it is run.

    Python itself would look there first: a file that is named redis.py would be run in place of the library.
    """
    return [sys.executable, "-Pm", module, *arguments]
