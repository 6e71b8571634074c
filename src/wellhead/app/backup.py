"""Backups: one moment of the ledger and what the index has of it, while all runs on."""

import fcntl
import gzip
import io
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

import psycopg

from wellhead import __version__
from wellhead.app.backup_files import (
    FORMAT,
    INDEX,
    KEY_FILE,
    LEDGER,
    SECRET_KEY,
    BackupError,
    Manifest,
    StoredFile,
    Tell,
    check_room,
    copy_file,
    created,
    describe_file,
    files_below,
    fingerprint,
    sync_folder,
    sync_folders,
    write_manifest,
    write_private,
)
from wellhead.app.home import Home
from wellhead.app.local import database, secret_keys
from wellhead.app.processes import database_url
from wellhead.app.settings import Settings
from wellhead.domain.errors import StartError
from wellhead.index.lance_pin import pin_folder, pin_tables
from wellhead.store import ledger_copy, migrate
from wellhead.store.ledger_copy import CollectionFacts, Ledger, TableCopy

_FAST = 1  # the level of compression: the ledger is text, most of it repeated
_BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class _Moment:
    """What was read of the ledger, all at one moment."""

    at: datetime
    postgresql: str
    database_bytes: int
    tables: list[TableCopy]
    sequences: dict[str, int]
    collections: list[CollectionFacts]
    files: list[StoredFile]


def back_up(
    settings: Settings, target: Path, *, include_secret_key: bool, tell: Tell
) -> Manifest:
    """Write a backup to a directory that appears when it is whole.

    Raises BackupError and StartError. Interrupted it leaves nothing.
    """
    target = target.expanduser().absolute()
    _check_target(target, settings.data_dir)
    _check_source(settings)
    try:
        with _unfinished(target) as folder, database(settings) as running:
            manifest = _write(running, folder, with_key=include_secret_key, tell=tell)
            write_manifest(folder, manifest)
    except (OSError, psycopg.Error) as error:
        raise BackupError(f"the backup was not made: {error}") from error
    return manifest


def _check_target(target: Path, data_dir: Path) -> None:
    if target.exists():
        raise BackupError(f"{target} is there already: choose another name")
    if not target.parent.is_dir():
        raise BackupError(f"{target.parent} is no directory: make it, or mount it")
    if target.resolve().is_relative_to(data_dir.resolve()):
        raise BackupError(f"{target} is inside the data directory: choose another disk")


def _check_source(settings: Settings) -> None:
    is_new = not (settings.data_dir / "postgres").exists()
    if settings.database_url is None and is_new:
        raise BackupError(f"there is nothing to back up in {settings.data_dir}")


@contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """Let a directory be filled beside the target, and rename it in the end."""
    folder = target.with_name(f"{target.name}.partial")
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _take(folder, descriptor)
        try:
            yield folder
            sync_folders(folder)
            if target.exists():
                raise BackupError(f"{target} is there by now: choose another name")
            folder.rename(target)
            sync_folder(target.parent)
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # renamed it is not there
    finally:
        os.close(descriptor)


def _take(folder: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BackupError(f"another backup is writing {folder}: wait for it") from None
    for left in folder.iterdir():  # by a backup that was killed
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def _write(settings: Settings, folder: Path, *, with_key: bool, tell: Tell) -> Manifest:
    url, home = database_url(settings), Home(settings.data_dir)
    revision = migrate.current(url)
    if revision != migrate.newest():
        raise StartError(
            f"the database has the schema {revision}, and this Wellhead knows "
            f"{migrate.newest()}: back it up with the Wellhead that serves it"
        )
    home.prepare()
    with pin_folder(home.index) as pinned:
        moment = _write_ledger(url, home, pinned, folder, tell=tell)
        _check_index(home, pinned, moment)
        files = _copy_index(pinned, folder, tell=tell)
    keys = secret_keys(settings)
    if with_key:
        files += _write_keys(home, keys, folder)
    return Manifest(
        format=FORMAT,
        id=str(uuid4()),
        created_at=moment.at,
        wellhead=__version__,
        postgresql=moment.postgresql,
        schema_revision=revision,
        embedder=settings.embedder,
        database_bytes=moment.database_bytes,
        tables=moment.tables,
        sequences=moment.sequences,
        collections=moment.collections,
        secret_keys=[fingerprint(key) for key in keys],
        has_secret_key=with_key and bool(keys),
        files=[*moment.files, *files],
    )


def _write_ledger(
    url: str, home: Home, pinned: Path, folder: Path, *, tell: Tell
) -> _Moment:
    def pin(tables: Sequence[UUID]) -> None:
        tell("pinning the index", 0, 0)
        pin_tables(home.index, tables, pinned)

    tell("waiting for maintenance to pause", 0, 0)
    with ledger_copy.snapshot(url, pin=pin) as ledger:
        size = ledger.size()
        index_size = sum(file.stat().st_size for file in files_below(pinned))
        check_room(folder, size + index_size)
        (folder / LEDGER).mkdir(mode=0o700)
        tables, files = [], []
        for at, name in enumerate(ledger.tables):
            tell("ledger", at, len(ledger.tables))
            path = f"{LEDGER}/{name}.copy.gz"
            tables.append(_write_table(ledger, name, folder / path))
            files.append(describe_file(folder, path))
        version = ledger.connection.info.parameter_status("server_version") or ""
        return _Moment(
            at=ledger.moment(),
            postgresql=version,
            database_bytes=size,
            tables=tables,
            sequences=ledger.sequences(),
            collections=ledger.collections(),
            files=files,
        )


def _check_index(home: Home, pinned: Path, moment: _Moment) -> None:
    has_chunks = any(one.chunks for one in moment.collections)
    if has_chunks and not any(pinned.iterdir()):
        raise BackupError(
            f"{home.index} has no table of this ledger's collections: name the data "
            "directory of its server, with --data-dir"
        )


def _write_table(ledger: Ledger, name: str, file: Path) -> TableCopy:
    with (
        created(file) as stream,
        gzip.GzipFile("", "wb", _FAST, stream, mtime=0) as packed,
        io.BufferedWriter(packed, _BUFFER) as to,
    ):
        return ledger.write(name, to)


def _copy_index(pinned: Path, folder: Path, *, tell: Tell) -> list[StoredFile]:
    links = files_below(pinned)
    size, done, copied = sum(link.stat().st_size for link in links), 0, []
    (folder / INDEX).mkdir(mode=0o700)
    for link in links:
        path = f"{INDEX}/{link.relative_to(pinned)}"
        tell("index", done, size)
        one = copy_file(link, folder / path, path=path)
        copied.append(one)
        done += one.size
    tell("index", done, size)
    return copied


def _write_keys(home: Home, keys: Sequence[str], folder: Path) -> list[StoredFile]:
    """Write what a backup has only when it is asked to: keep such a one like a key."""
    contents = {SECRET_KEY: ",".join(keys), KEY_FILE: home.read_key()}
    written = []
    for name, content in contents.items():
        if content:
            write_private(folder / name, f"{content}\n".encode())
            written.append(describe_file(folder, name))
    return written
