"""
Clients that others generate from ops/openapi.json: what openapi-python-client and openapi-typescript make compiles.

    make clients
"""

import argparse
import compileall
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests import ROOT

_DOCUMENT = ROOT / "ops" / "openapi.json"
_TYPESCRIPT = ("openapi-typescript@7.13.0", "typescript@5")
_USE = """import type { paths } from "./api";
type Post = paths["/v1/calls"]["post"];
export const asked: Post["requestBody"]["content"]["application/json"] = { to: "+12125550101" };
export const id = (made: Post["responses"][201]["content"]["application/json"]): number => made.call_id;
"""


def main() -> int:
    """Generate and compile both; exit status 1 where one does not."""
    parser = argparse.ArgumentParser(prog="python -m tests.other_clients")
    parser.add_argument("--bin", type=Path, required=True, help="where openapi-python-client and its Python are")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="outbound-clients-") as directory:
        return 0 if _python(given.bin.resolve(), Path(directory)) and _typescript(Path(directory)) else 1


def _python(programs: Path, home: Path) -> bool:
    made = home / "made_client"
    generate = [str(programs / "openapi-python-client"), "generate", "--path", str(_DOCUMENT), "--meta", "none"]
    if not _is_done([*generate, "--output-path", str(made)], home) or not compileall.compile_dir(made, quiet=1):
        return False
    names = [".".join(file.relative_to(home).with_suffix("").parts) for file in made.rglob("*.py")]
    modules = [name.removesuffix(".__init__") for name in sorted(names)]
    is_good = _is_done([str(programs / "python"), "-c", f"import {', '.join(modules)}"], home)
    types = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(programs / "python"), made.name]
    is_good = is_good and _is_done(types, home)
    sys.stdout.write(
        f"openapi-python-client: {len(modules)} modules are imported, mypy takes them\n" if is_good else ""
    )
    return is_good


def _typescript(home: Path) -> bool:
    npm = shutil.which("npm")
    if npm is None or not _is_done([npm, "install", "--silent", "--no-fund", "--no-audit", *_TYPESCRIPT], home):
        sys.stdout.write("openapi-typescript: skipped, as npm is not there or reaches no registry\n")
        return True
    programs = home / "node_modules" / ".bin"
    (home / "use.ts").write_text(_USE)
    is_good = _is_done([str(programs / "openapi-typescript"), str(_DOCUMENT), "-o", "api.d.ts"], home)
    is_good = is_good and _is_done([str(programs / "tsc"), "--noEmit", "--strict", "use.ts", "api.d.ts"], home)
    sys.stdout.write("openapi-typescript: tsc takes it\n" if is_good else "")
    return is_good


def _is_done(command: list[str], home: Path) -> bool:
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        sys.stderr.write(f"{Path(command[0]).name}: {done.stdout[-1000:]}{done.stderr[-2000:]}\n")
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
