"""The `outbound` command, also as `python -m outbound`; it says which part of outbound is not installed."""

import sys

from outbound import extras


def main() -> None:
    """
    Run the command; where a part of outbound is missing, one line says how to install it, and exit status 2.

    Ctrl-C while modules are imported is exit status 130 without a word, as afterwards.
    """
    try:
        with extras.named():
            from outbound.cli import app

            app.main()
    except extras.PartMissing as missing:
        sys.stderr.write(f"{missing}\n")  # without rich, which may be what is missing
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
