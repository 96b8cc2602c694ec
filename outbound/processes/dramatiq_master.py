"""Dramatiq's own command, whose master process starts the workers, with its lines in our log's form."""

import sys

from dramatiq.cli import main, make_argument_parser

from outbound import logs

if __name__ == "__main__":
    logs.set_up()
    arguments = make_argument_parser().parse_args([*sys.argv[1:], "--skip-logging"])  # type: ignore[no-untyped-call]
    arguments.path = []  # by default the working directory, where a file may have the name of a library
    sys.exit(main(arguments))  # type: ignore[no-untyped-call]
