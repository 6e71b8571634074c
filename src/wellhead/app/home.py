"""The data directory: who serves it, where, and the secrets kept in it."""

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from wellhead.domain.errors import StartError

LOCK_SECONDS = 2.0
ORPHANS_SECONDS = 20.0


class TakenError(StartError):
    """Another Wellhead has the data directory."""


@dataclass(frozen=True, slots=True)
class Served:
    """The server that runs on a data directory."""

    url: str
    pid: int
    processes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Home:
    """Files of one data directory; everything secret is readable by its owner only."""

    path: Path

    @property
    def key_file(self) -> Path:
        return self.path / "api_key"

    @property
    def log_file(self) -> Path:
        return self.path / "serve.log"

    @property
    def lock_file(self) -> Path:
        return self.path / "serve.lock"

    @property
    def index(self) -> Path:
        return self.path / "index"

    @property
    def restoring(self) -> Path:
        """Is there while a restore has not ended."""
        return self.path / "restoring"

    def prepare(self) -> None:
        """Create the directory. Raises StartError."""
        if self.restoring.exists():
            raise StartError(
                f"a backup is being restored into {self.path}, or was and did not get "
                "to its end: wait for it, or run `wellhead restore` again"
            )
        self.make()

    def make(self) -> None:
        # under root the database's own user has to pass through
        mode = 0o700 if os.geteuid() else 0o711
        try:
            self.path.mkdir(mode=mode, parents=True, exist_ok=True)
            self.index.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StartError(
                f"{error.filename} cannot be created ({error.strerror}): make it "
                "writable, or choose another directory with --data-dir"
            ) from error

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Be the only server of this directory. Raises StartError, naming the other.

        Children that inherit the descriptor keep the lock, so when a supervisor was
        killed the next one waits until the last of its processes has gone.
        """
        while True:
            descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                self._wait_for_lock(descriptor)
                if self._is_there(descriptor):
                    yield descriptor
                    return
            finally:
                os.close(descriptor)

    def _is_there(self, descriptor: int) -> bool:
        """Tell whether others find this lock, or whoever had it has removed it."""
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(descriptor), self.lock_file.stat())
        return False

    def _wait_for_lock(self, descriptor: int) -> None:
        begun = time.monotonic()
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                other = self._read_served()
                is_orphaned = other is not None and not _is_alive(other.pid)
                patience = ORPHANS_SECONDS if is_orphaned else LOCK_SECONDS
                if time.monotonic() - begun > patience:
                    raise TakenError(_is_taken(self.path, other)) from None
                time.sleep(0.1)
            else:
                return

    def served(self) -> Served | None:
        """Return the running server, None when there is none."""
        with suppress(OSError):
            descriptor = os.open(self.lock_file, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found = self._read_served()
                return found if found is not None and _is_alive(found.pid) else None
            finally:
                os.close(descriptor)
        return None

    def announce(self, served: Served) -> None:
        """Let local commands find the server."""
        _replace(self.path / "serve.json", json.dumps(asdict(served)) + "\n")

    def withdraw(self) -> None:
        (self.path / "serve.json").unlink(missing_ok=True)

    def _read_served(self) -> Served | None:
        try:
            found = json.loads((self.path / "serve.json").read_text())
            return Served(**found)
        except (OSError, ValueError, TypeError):
            return None

    def read_key(self) -> str | None:
        return self.read(self.key_file.name)

    def read(self, name: str) -> str | None:
        """Return what a file of one line says; None when there is nothing."""
        try:
            return (self.path / name).read_text().strip() or None
        except OSError:
            return None

    def write_key(self, key: str) -> None:
        _replace(self.key_file, key + "\n")

    def secret(self, name: str, new: str) -> str:
        """Return the secret of this name; `new` becomes it where there is none."""
        file = self.path / name
        if not file.exists():
            unfinished = _write(file, new + "\n")
            with suppress(FileExistsError):  # another process was faster
                file.hardlink_to(unfinished)
            unfinished.unlink()
        return file.read_text().strip()


def _replace(file: Path, text: str) -> None:
    _write(file, text).replace(file)


def _write(file: Path, text: str) -> Path:
    unfinished = file.with_name(f"{file.name}.{secrets.token_hex(4)}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(unfinished, flags, 0o600), "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    return unfinished


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Tell whether it is dead and only not yet collected, where the system says."""
    try:
        about = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return about.rpartition(")")[2].split()[0] == "Z"


def _is_taken(path: Path, other: Served | None) -> str:
    if other is None:
        return f"another Wellhead is starting or stopping on {path}: try again soon"
    return (
        f"{path} is already served at {other.url} (process {other.pid}): use that one, "
        "stop it, or choose another --data-dir"
    )
