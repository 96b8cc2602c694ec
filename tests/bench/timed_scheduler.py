"""`outbound scheduler`, which writes down in a file, its one argument, how long each of its claims took."""

import sys
import time
from pathlib import Path
from typing import Any

from outbound.calls import dispatch
from outbound.cli import app

_claim = dispatch._claim


def main() -> None:
    """Run the scheduler as the command does."""
    with Path(sys.argv[1]).open("a", buffering=1) as file:

        def timed(connection: Any) -> list[Any]:
            began_at = time.monotonic()
            rows = _claim(connection)
            if rows:
                file.write(f"{began_at} {1000 * (time.monotonic() - began_at)} {len(rows)}\n")
            return rows

        dispatch._claim = timed
        sys.argv = ["outbound", "scheduler"]
        app.main()


if __name__ == "__main__":
    main()
