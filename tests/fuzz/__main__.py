"""`make fuzz ARGS="--seed S"`: attack everything that takes input from strangers, and say what came of it."""

import argparse
import importlib
import importlib.util
import json
import sys

from tests.fuzz.result import Result

# Each has run(seed, count) -> Result.  How many tries each gets of --count: a command takes a second.
KINDS = {"web": 1.0, "files": 0.05, "commands": 0.005, "broker": 0.01, "cells": 0.05}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20_000, help="web requests; the other kinds get a part of it")
    parser.add_argument(
        "--kind", action="append", choices=sorted(KINDS), help="only these (default: all that there are)"
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results = [
        run(kind, arguments.seed, max(1, int(arguments.count * share)))
        for kind, share in KINDS.items()
        if kind in (arguments.kind or KINDS) and importlib.util.find_spec(f"tests.fuzz.{kind}")
    ]
    for result in results:
        print(json.dumps(result.as_json()) if arguments.json else _line(result))  # noqa: T201 (a command's answer)
    return 0 if all(result.is_good for result in results) else 1


def run(kind: str, seed: int, count: int) -> Result:
    """Attack in one way."""
    result: Result = importlib.import_module(f"tests.fuzz.{kind}").run(seed, count)
    return result


def _line(result: Result) -> str:
    memory = f"{result.memory_before / 2**20:.0f} -> {result.memory_after / 2**20:.0f} MiB"
    return (
        f"{result.name:10} {result.tries:>7} tries: {result.believed} believed, {result.server_errors} server errors,"
        f" {result.tracebacks} tracebacks, {result.state_changes} state changes, memory {memory}"
        f"  {'ok' if result.is_good else 'FAILED'}"
    )


if __name__ == "__main__":
    sys.exit(main())
