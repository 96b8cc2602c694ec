"""`python -m outbound`."""

from outbound.cli.app import main

main()
