"""
`make guards`: take out each guard alone, in a copy of the tree, and see its test fail.

Exit status 0 only if every test is green with the guards and red without its own.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from tests.guards.guards import GUARDS, Guard

ROOT = Path(__file__).parents[2]
PARTS = ("outbound", "sql", "tests", "ops", "pyproject.toml", "README.md")
TIMEOUT_S = 300


def main() -> int:
    """Prove every guard whose name holds the words on the command line, or all of them."""
    words = " ".join(sys.argv[1:])
    chosen = [guard for guard in GUARDS if words in guard.name]
    out = Console()
    unproven = []
    for guard in chosen:
        verdict = _verdict(guard)
        out.print(
            f"{'ok  ' if verdict is None else 'FAIL'}  {guard.name}{f': {verdict}' if verdict else ''}", highlight=False
        )
        if verdict:
            unproven.append(guard)
    out.print(f"{len(chosen) - len(unproven)} passed, {len(unproven)} failed", highlight=False)
    return 1 if unproven or not chosen else 0


def _verdict(guard: Guard) -> str | None:
    """None where the guard is proven, else why it is not."""
    with tempfile.TemporaryDirectory(prefix="outbound-guard-") as directory:
        tree = Path(directory)
        for part in PARTS:
            source = ROOT / part
            shutil.copytree(source, tree / part) if source.is_dir() else shutil.copy(source, tree / part)
        file = tree / guard.file
        text = file.read_text()
        for cut, left in guard.cuts:
            if cut not in text:
                return f"{guard.file} no longer says {cut[:60]!r}"
            text = text.replace(cut, left)
        file.write_text(text)
        # In the copy, the copy's own package comes first on the path.
        pytest = [sys.executable, "-m", "pytest", "-x", "-n0", "--no-header", "--tb=no", guard.test]
        finished = subprocess.run(pytest, cwd=tree, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if finished.returncode == 1:
        return None
    return (
        f"{guard.test} is green without it"
        if finished.returncode == 0
        else finished.stdout[-500:] + finished.stderr[-500:]
    )


if __name__ == "__main__":
    sys.exit(main())
