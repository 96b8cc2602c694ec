"""What one kind of attack did."""

from dataclasses import asdict, dataclass
from typing import Any

MEMORY_GROWTH_MAX = 1.1  # of what a process had once it was warm


@dataclass
class Result:
    """
    Attributes:
        name: the kind of attack.
        tries: how much was sent, or done.
        believed: forged or odd things that were taken as true.
        server_errors: answers of 500 or more; exit codes that no error has.
        tracebacks: in the logs, and in what was printed.
        state_changes: tables that differ by a byte after something that must change nothing.
        memory_before, memory_after: of the process that was attacked, bytes; 0 where there is none.
    """

    name: str
    tries: int = 0
    believed: int = 0
    server_errors: int = 0
    tracebacks: int = 0
    state_changes: int = 0
    memory_before: int = 0
    memory_after: int = 0

    @property
    def is_good(self) -> bool:
        """Did nothing get in, break, or grow?"""
        broken = self.believed or self.server_errors or self.tracebacks or self.state_changes
        return not broken and self.memory_after <= self.memory_before * MEMORY_GROWTH_MAX

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
