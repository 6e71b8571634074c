"""The newest state of Lance tables, kept as links while a backup copies it.

A table's files never change once they are written; they are only deleted. A second
name in a folder of its own keeps them for as long as the copy takes, on any file system
that has hard links, and costs no space until the table lets go of them.
"""

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

_PREFIX = ".backup-"
_VERSIONS = "_versions"
_MANIFEST = re.compile(r"\d{20}\.manifest")


@contextmanager
def pin_folder(root: Path) -> Iterator[Path]:
    """Make a folder for links beside the tables; those of killed backups go."""
    _remove_abandoned(root)
    folder = root / f"{_PREFIX}{secrets.token_hex(8)}"
    folder.mkdir(mode=0o700)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # says that we live
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def pin_tables(root: Path, table_ids: Sequence[UUID], into: Path) -> None:
    """Link the newest state of these tables; one that is not there is fine.

    Nobody may delete from the tables meanwhile; appends may go on, and are left out.
    """
    for table_id in table_ids:
        table = root / f"{table_id.hex}.lance"
        for name in _files_of_newest(table):
            link = into / table.name / name
            link.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # an append's own file, moved by now
                os.link(table / name, link)


def _files_of_newest(table: Path) -> Iterator[Path]:
    """Yield what the newest state can refer to: it was all written before."""
    newest = _newest_manifest(table)
    if newest is None:
        return
    for folder, _, names in os.walk(table):
        where = Path(folder).relative_to(table)
        for name in names:
            # states count down from 2^64 - 1, so what sorts before is younger; what
            # else lies there is a hint that changes, and can be done without
            is_wanted = _MANIFEST.fullmatch(name) and name >= newest
            if where != Path(_VERSIONS) or is_wanted:
                yield where / name


def _newest_manifest(table: Path) -> str | None:
    # an empty one is left by a power loss and was never promised
    return min(
        (
            one.name
            for one in (table / _VERSIONS).glob("*.manifest")
            if _MANIFEST.fullmatch(one.name) and one.stat().st_size > 0
        ),
        default=None,
    )


def _remove_abandoned(root: Path) -> None:
    for folder in root.glob(f"{_PREFIX}*"):
        with suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            except BlockingIOError:
                pass  # a backup that runs
            finally:
                os.close(descriptor)
