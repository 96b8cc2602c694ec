"""What came of one kind of attack."""

from dataclasses import dataclass


@dataclass
class Result:
    """
    Counts of one kind of attack; each but `tries` and memory should be 0.

    Attributes:
        name: of the kind.
        tries: how many were made.
        believed: how many were taken for genuine.
        server_errors: answers of 5xx, and the like.
        tracebacks: errors that nobody expected.
        state_changes: changes of the database that should not have been made.
        memory_before, memory_after: resident memory of the attacked process, bytes.
    """

    name: str
    tries: int = 0
    believed: int = 0
    server_errors: int = 0
    tracebacks: int = 0
    state_changes: int = 0
    memory_before: int = 0
    memory_after: int = 0
