"""`python -m outbound`."""

from outbound.cli import main

main()
