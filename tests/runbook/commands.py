"""The commands of a runbook: what stands in its code blocks, one by one, with the section that they stand in."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_FENCE = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.M | re.S)
_HEADING = re.compile(r"^(#+) (.+?)\s*$", re.M)


class Command(NamedTuple):
    """One command line, SQL statement or PromQL expression."""

    section: str  # the heading that it stands below
    language: str  # sh, sql or promql
    text: str


def of(runbook: str) -> list[Command]:
    """All commands of a runbook, in their order."""
    headings = [(match.start(), match[2]) for match in _HEADING.finditer(_without_blocks(runbook))]
    found = []
    for block in _FENCE.finditer(runbook):
        section = next((title for at, title in reversed(headings) if at < block.start()), "")
        found += [Command(section, block[1], one) for one in _split(block[1], block[2])]
    return found


def _without_blocks(runbook: str) -> str:
    """Replace code blocks by spaces, at the same offsets: a comment in a shell is no heading."""
    return _FENCE.sub(lambda block: re.sub(r"[^\n]", " ", block[0]), runbook)


def _split(language: str, block: str) -> Iterator[str]:
    lines = [line.rstrip() for line in block.splitlines() if line.strip()]
    if language != "sql":
        yield from (line.strip() for line in lines)
        return
    statement: list[str] = []
    for line in lines:
        statement.append(line.strip())
        if line.endswith(";"):
            yield "\n".join(statement)
            statement = []
