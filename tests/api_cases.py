"""
Cases that schemathesis makes of ops/openapi.json, sent to a real API process: none may be answered with 5xx, or with
what the document does not name, and one that is refused may change nothing.

    make api-cases ARGS="--cases 10000"
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psycopg

from outbound.rules import api_token
from tests import ROOT
from tests.bench.cluster import running
from tests.bench.world import World, listens, until, world
from tests.digest import digest
from tests.ports import free_ports

HERE = Path(__file__).parent
_CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_headers_conformance", "response_schema_conformance", "unsupported_method"),
    "refused_changes_nothing",
)
# A case of these ends the token that all cases show, waits for calls that nobody dials here, or has no end.
_LEFT_OUT = ("revoke_token", "drain", "stream_events")


def main() -> int:
    """Send the cases; exit status 1 where one was answered with 5xx or broke the document."""
    parser = argparse.ArgumentParser(prog="python -m tests.api_cases")
    parser.add_argument("--schemathesis", default="st", help="its command")
    parser.add_argument("--cases", type=int, default=10_000, help="how many at least, over all operations")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="outbound-cases-"))
    home.chmod(0o755)  # as root, PostgreSQL runs as nobody, who must get there
    (port,) = free_ports(1)
    try:
        settings = {"OUTBOUND_API_PORT": str(port), "OUTBOUND_API_RATE": "100000", "OUTBOUND_WEBHOOK_KEY": "k" * 32}
        with running(home) as cluster, world(cluster, "cases", **settings) as here, _digests(here) as digest_url:
            return _run(here, port, given, digest_url)
    finally:
        shutil.rmtree(home, ignore_errors=True)


class _Tables:
    """The database, as tests.digest asks it."""

    def __init__(self, url: str) -> None:
        self._line = psycopg.connect(url, autocommit=True)

    def rows(self, query: str, *parameters: object) -> list[Any]:
        return self._line.execute(query.encode(), parameters or None).fetchall()

    def value(self, query: str) -> Any:
        return self.rows(query)[0][0]


@contextmanager
def _digests(here: World) -> Iterator[str]:
    """Serve a digest of every table to the check, which runs in an environment that has no driver."""
    tables: Any = _Tables(here.database_url)

    class Digest(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(digest(tables)).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Digest) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _run(here: World, port: int, given: argparse.Namespace, digest_url: str) -> int:
    url = f"http://127.0.0.1:{port}"
    here.spawn("api", "outbound", "api")
    until(lambda: listens(url), "the API listens", 60)
    here.put_calls(20)
    here.sql("insert into campaign (business_id, name) values (1, 'Spring'), (2, 'Autumn')")
    here.sql("insert into leads (business_id, phone) values (1, '+15005550101')")
    token = api_token.add("cases", scopes=list(api_token.SCOPES), actor="cases").token
    document = json.loads((ROOT / "ops" / "openapi.json").read_text())
    operations = sum(len(methods) for methods in document["paths"].values()) - len(_LEFT_OUT)
    program = shutil.which(given.schemathesis)
    if program is None:
        raise SystemExit("schemathesis is not there: `make api-cases` installs it")
    command = [
        str(Path(program).absolute()),
        "run",
        str(ROOT / "ops" / "openapi.json"),
        "--url",
        url,
        "--seed",
        str(given.seed),
    ]
    command += ["--phases", "coverage,fuzzing", "--max-examples", str(-(-given.cases // operations))]
    command += ["--checks", ",".join(_CHECKS), "--continue-on-failure", "--suppress-health-check", "all"]
    command += ["--header", f"Authorization:Bearer {token}", "--no-color", "--warnings", "off"]
    command += [word for name in _LEFT_OUT for word in ("--exclude-operation-id", name)]
    env = os.environ | {"SCHEMATHESIS_HOOKS": "api_cases_hooks", "PYTHONPATH": str(HERE), "DIGEST_URL": digest_url}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=here.cluster.home, env=env)
    sys.stdout.write(done.stdout[-20_000:].replace(token, "outb_…"))
    sys.stderr.write(done.stderr[-4000:].replace(token, "outb_…"))
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
