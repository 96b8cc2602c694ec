"""
`make guards`: take out each guard alone, in a copy of the tree, and see its test fail.

Exit status 0 only if every test is green with the guards and red without its own.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from tests import ROOT
from tests.guards.guards import GUARDS, Guard

PARTS = ("outbound", "sql", "tests", "ops", "docs", "pyproject.toml", "README.md", "README.he.md")
TIMEOUT_S = 300  # of one test
OUT = Console()


def main() -> int:
    """Prove every guard whose name holds the words on the command line, or all of them."""
    words = " ".join(sys.argv[1:])
    chosen = [guard for guard in GUARDS if words in guard.name]
    if not _all_green(sorted({guard.test for guard in chosen})):
        return 1
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        failed = sum(not proven for proven in pool.map(_is_proven, chosen))
    OUT.print(f"{len(chosen) - failed} passed, {failed} failed", highlight=False)
    return 1 if failed or not chosen else 0


def _all_green(tests: list[str]) -> bool:
    """With every guard in its place; a test that is red anyway proves nothing."""
    with _copy() as tree:
        finished = _pytest(tree, tests, TIMEOUT_S * len(tests), processes=os.cpu_count() or 1)
    if finished.returncode:
        OUT.print(finished.stdout[-3000:] + finished.stderr[-500:], highlight=False, markup=False)
    OUT.print(f"{len(tests)} tests with all guards: {'red' if finished.returncode else 'green'}", highlight=False)
    return finished.returncode == 0


def _is_proven(guard: Guard) -> bool:
    verdict = _verdict(guard)
    said = f"FAIL  {guard.name}: {verdict}" if verdict else f"ok    {guard.name}"
    OUT.print(said, highlight=False, markup=False, soft_wrap=True)
    return verdict is None


def _verdict(guard: Guard) -> str | None:
    """None where the guard is proven, else why it is not."""
    with _copy() as tree:
        for name in guard.files:
            text = (tree / name).read_text()
            for cut, left in guard.cuts:
                if cut not in text:
                    return f"{name} no longer says {cut[:60]!r}"
                text = text.replace(cut, left)
            (tree / name).write_text(text)
        finished = _pytest(tree, [guard.test], 2 * TIMEOUT_S)
    if finished.returncode == 1:
        return None
    if finished.returncode == 0:
        return f"{guard.test} is green without it"
    return finished.stdout[-500:] + finished.stderr[-500:]


@contextmanager
def _copy() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="outbound-guard-") as directory:
        tree = Path(directory)
        for part in PARTS:
            source = ROOT / part
            shutil.copytree(source, tree / part) if source.is_dir() else shutil.copy(source, tree / part)
        yield tree


def _pytest(tree: Path, tests: list[str], timeout_s: int, processes: int = 0) -> subprocess.CompletedProcess[str]:
    """In the copy, the copy's own package comes first on the path."""
    command = [sys.executable, "-m", "pytest", "-x", "-n", str(processes), "--no-header", "--tb=short"]
    command += ["--timeout", str(TIMEOUT_S), *tests]  # a test that is slow beside another is not red
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=timeout_s, check=False)


if __name__ == "__main__":
    sys.exit(main())
