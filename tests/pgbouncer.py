"""A real PgBouncer in front of a test's database."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.conftest import until
from tests.ports import free_ports


def _prepared() -> str:
    """The setting by which a newer PgBouncer leaves prepared statements behind, as an older one always does."""
    said = subprocess.run(["pgbouncer", "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"(\d+)\.(\d+)", said)
    assert version is not None, said
    return "max_prepared_statements = 0\n" if (int(version[1]), int(version[2])) >= (1, 21) else ""


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def pgbouncer(url: str, pool_mode: str, ignored: str = "options") -> Iterator[str]:
    """A real PgBouncer in front of the database, and its address."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    server = {"host": query.get("host", [parts.hostname])[0], "port": query.get("port", [parts.port or 5432])[0]}
    name, port = parts.path[1:], free_ports(1)[0]
    login = f"user={parts.username}" + (f" password={parts.password}" if parts.password else "")
    folder = Path(tempfile.mkdtemp(prefix="outbound-pgbouncer-"))
    folder.chmod(0o755)  # as root, PgBouncer runs as nobody, who must get there
    users, settings = folder / "users.txt", folder / "pgbouncer.ini"
    users.write_text(f'"{parts.username}" ""\n')
    settings.write_text(
        f"[databases]\n{name} = host={server['host']} port={server['port']} dbname={name} {login}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        f"auth_file = {users}\npool_mode = {pool_mode}\nignore_startup_parameters = {ignored}\n"
        f"max_client_conn = 100\ndefault_pool_size = 10\n{_prepared()}"
    )
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen(
        ["pgbouncer", *user, str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
    )
    try:
        until(lambda: _listens(port))
        yield f"postgresql://{parts.username}@127.0.0.1:{port}/{name}"
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder)


needs_pgbouncer = pytest.mark.skipif(shutil.which("pgbouncer") is None, reason="PgBouncer is not installed here")
